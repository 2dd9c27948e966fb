import { expect, test } from "vitest";
import { ApiProblem } from "../api";
import { goLive } from "./useModeration";

/** A server that refuses so many wishes with these codes, and what it was asked. */
function server(...codes: string[]) {
  const asked: unknown[] = [];
  const send = (path: string, method: string, body: unknown) => {
    asked.push([method, path, body]);
    const code = codes.shift();
    return code === undefined ? Promise.resolve(null) : Promise.reject(new ApiProblem(422, code, `no: ${code}`));
  };
  return { asked, send };
}

test("a room goes live as one program where the server can make one", async () => {
  const { asked, send } = server();
  await goLive("demo", send);
  expect(asked).toEqual([["POST", "/api/v1/streams", { room: "demo", picture: "program" }]]);
});

test("else with who speaks, and else with who began first", async () => {
  const { asked, send } = server("needs_transcoding", "speakers_switched_off");
  await goLive("demo", send);
  expect(asked.map((one) => (one as [string, string, { picture: string }])[2].picture)).toEqual(["program", "speaker", "first"]);
});

test("what nothing helps against is told", async () => {
  await expect(goLive("demo", server("already_live").send)).rejects.toThrow("no: already_live");
  const all = server("needs_transcoding", "needs_transcoding", "needs_transcoding");
  await expect(goLive("demo", all.send)).rejects.toThrow("no: needs_transcoding");
  expect(all.asked).toHaveLength(3);
});
