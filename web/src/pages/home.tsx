import { type SubmitEvent, useState } from "react";
import { Page, show } from "../parts/Page";

function Home() {
  const [room, setRoom] = useState("demo");
  const go = (page: "publish" | "watch") => {
    location.assign(`/${page}/?room=${encodeURIComponent(room)}`);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    go("watch");
  };
  return (
    <Page title="Go to a room">
      <form onSubmit={submit}>
        <label>
          Room name
          <input
            value={room}
            required
            pattern="[A-Za-z0-9._\-]{1,64}"
            title="letters, digits, dot, underscore and hyphen, at most 64"
            onChange={(event) => {
              setRoom(event.target.value);
            }}
          />
        </label>
        <button type="submit">Watch</button>
        <button
          type="button"
          onClick={() => {
            go("publish");
          }}
        >
          Publish
        </button>
      </form>
      <p className="status">
        The <a href="/watch/?room=demo">demo room</a> shows a running clock and plays a tone when the server was started with it.
      </p>
    </Page>
  );
}

show(<Home />);
