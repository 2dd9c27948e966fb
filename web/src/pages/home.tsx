import { type SubmitEvent, useState } from "react";
import { Page, show } from "../parts/Page";
import { text } from "../strings";

function Home() {
  const [room, setRoom] = useState("demo");
  const named = (page: string) => `/${page}/?room=${encodeURIComponent(room)}`;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    location.assign(named("room"));
  };
  return (
    <Page title={text.start.title}>
      <p className="lead">{text.start.lead}</p>
      <form className="card" onSubmit={submit}>
        <label>
          {text.start.room}
          <input
            value={room}
            required
            autoComplete="off"
            autoCapitalize="none"
            pattern="[A-Za-z0-9._\-]{1,64}"
            title={text.roomRule}
            onChange={(event) => {
              setRoom(event.target.value);
            }}
          />
        </label>
        <button type="submit">{text.start.enter}</button>
      </form>
      <section aria-labelledby="more">
        <h2 id="more">{text.start.more}</h2>
        <p className="row">
          <a href={named("watch")}>{text.start.watch}</a>
          <a href={named("publish")}>{text.start.publish}</a>
        </p>
        <p className="status">
          {text.start.demo} <a href="/room/?room=demo">{text.start.demoLink}</a>
        </p>
      </section>
    </Page>
  );
}

show(<Home />);
