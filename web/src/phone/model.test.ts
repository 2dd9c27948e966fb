import { describe, expect, it } from "vitest";
import { type Change, dialled, EMPTY, isBusy, lasted, LIST_LIMIT, next, type PhoneState } from "./model";

const after = (...changes: Change[]): PhoneState => changes.reduce(next, EMPTY);
const begun = (direction: "in" | "out", id = "1"): Change => ({ kind: "begun", id, direction, peer: "bob", at: 1_000 });
const up = (at: number, id = "1"): Change => ({ kind: "stage", id, stage: "up", at });
const ended = (at: number, more: { why?: string; declined?: boolean; id?: string } = {}): Change => ({
  kind: "ended",
  id: more.id ?? "1",
  at,
  why: more.why ?? "Terminated",
  declined: more.declined ?? false,
});

describe("a call", () => {
  it("begins as who began it", () => {
    expect(after(begun("in")).call?.stage).toBe("incoming");
    expect(after(begun("out")).call?.stage).toBe("calling");
  });

  it("is remembered with how long it was up", () => {
    const [entry] = after(begun("out"), up(2_000), ended(65_400)).list;
    expect(entry).toMatchObject({ peer: "bob", at: 1_000, seconds: 63, outcome: "answered" });
  });

  it.each([
    [begun("in"), ended(9_000), "missed"],
    [begun("in"), ended(9_000, { declined: true }), "declined"],
    [begun("out"), ended(9_000, { why: "Busy" }), "failed"],
  ] as const)("that was not answered says why", (first, last, outcome) => {
    const [entry] = after(first, last).list;
    expect(entry).toMatchObject({ seconds: null, outcome });
  });

  it("does not ring again once it is up, and changes no more once it has ended", () => {
    const state = after(begun("out"), up(2_000), { kind: "stage", id: "1", stage: "ringing", at: 3_000 });
    expect(state.call?.stage).toBe("up");
    expect(next(next(state, ended(4_000)), up(5_000)).call?.stage).toBe("ended");
  });

  it("is not changed by what is about another", () => {
    const state = after(begun("out"));
    expect(next(state, ended(4_000, { id: "2" }))).toBe(state);
  });

  it("waits while somebody else is asked, and is the call again afterwards", () => {
    const asking = after(begun("in"), up(2_000), { kind: "flags", id: "1", flags: { held: true } }, {
      kind: "begun",
      id: "2",
      direction: "out",
      peer: "cleo",
      at: 3_000,
      beside: true,
    });
    expect([asking.call?.peer, asking.aside?.peer, asking.aside?.held]).toEqual(["cleo", "bob", true]);
    const back = next(next(asking, ended(4_000, { id: "2" })), { kind: "flags", id: "1", flags: { held: false } });
    expect([back.call?.peer, back.call?.held, back.aside]).toEqual(["bob", false, null]);
    const alone = next(next(asking, up(4_000, "2")), ended(5_000));
    expect([alone.call?.peer, alone.aside, alone.list.length]).toEqual(["cleo", null, 1]);
  });

  it("leaves its last notice to be read", () => {
    const state = after(begun("out"), up(2_000), ended(3_000), {
      kind: "flags",
      id: "1",
      flags: { notice: { kind: "transferred", to: "carol" } },
    });
    expect(state.call).toMatchObject({ stage: "ended", notice: { kind: "transferred" } });
  });
});

it("turns a second caller away and remembers that", () => {
  const state = after(begun("out"), { kind: "turnedAway", id: "2", peer: "carol", at: 5_000 });
  expect(isBusy(state)).toBe(true);
  expect(state.list[0]).toMatchObject({ peer: "carol", outcome: "busy" });
});

it("forgets the oldest calls", () => {
  const many = Array.from({ length: LIST_LIMIT + 1 }, (_, at): Change => ({ kind: "turnedAway", id: String(at), peer: "x", at }));
  expect(after(...many).list.map(({ at }) => at)).toEqual(Array.from({ length: LIST_LIMIT }, (_, at) => LIST_LIMIT - at));
});

it("keeps the list when another account signs in", () => {
  const state = after(begun("in"), ended(2_000), { kind: "signedIn", who: "ada" });
  expect(state).toMatchObject({ line: "connecting", who: "ada", call: null });
  expect(state.list).toHaveLength(1);
});

it.each([
  ["+49 (30) 901-820", "+4930901820"],
  [" 7000 ", "7000"],
  ["*21#", "*21#"],
  ["ada.lovelace", "ada.lovelace"],
  ["sip:ada@elsewhere", null],
  ["", null],
])("dials %j as %j", (typed, expected) => {
  expect(dialled(typed)).toBe(expected);
});

it("says how long a call lasted", () => {
  expect([0, 59, 61, 3_600].map(lasted)).toEqual(["0:00", "0:59", "1:01", "60:00"]);
});
