import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import { type BandwidthReport, extend, type LayerReport, type LineSample, type SectionReport } from "../webrtc/line";
import { LinePanel, scale } from "./LinePanel";

const LAYERS: LayerReport[] = ["q", "h", "f"].map((rid, place) => ({
  spatialLayerId: place,
  rid,
  active: true,
  bitrate: 100_000 * (place + 1),
  sent: place === 1,
}));
const SECTION: SectionReport = {
  currentSpatialLayer: 1,
  currentTemporalLayer: 2,
  targetSpatialLayer: 2,
  targetTemporalLayer: 2,
  paused: null,
};
const REPORT: BandwidthReport = {
  estimate: 1_234_567,
  allocated: 600_400,
  wanted: 2_000_000,
  roundTripTime: 0.0514,
  congestion: "moderate",
  quality: "good",
  media: { 0: SECTION },
};

/** What the panel shows after some seconds: its figures by their names, and the last points of its lines. */
function shown(reports: BandwidthReport[], arriving = 580_000, layers = LAYERS): Record<string, string> {
  const samples = reports.reduce<LineSample[]>((before, report) => extend(before, report, arriving), []);
  const markup = renderToStaticMarkup(<LinePanel report={reports.at(-1) ?? REPORT} samples={samples} layers={layers} />);
  const figures = [...markup.matchAll(/data-line="([^"]*)"[^>]*>([^<]*)</g)];
  const lines = [...markup.matchAll(/data-series="([^"]*)" data-last="([^"]*)"/g)];
  const found: Record<string, string> = {};
  for (const [, name = "", value = ""] of figures) found[name] = value;
  for (const [, name = "", value = ""] of lines) found[`line of ${name}`] = value;
  return found;
}

it("shows each figure of the newest report where it belongs", () => {
  expect(shown([REPORT])).toEqual({
    estimate: "1.23 Mbit/s",
    allotted: "600 kbit/s",
    arriving: "580 kbit/s",
    "estimate-note": "the line carries",
    "allotted-note": "of 2.00 Mbit/s wanted",
    "arriving-note": "round trip 51 ms",
    layer: "h T2",
    "layer-note": "target f T2",
    congestion: "moderate",
    quality: "good",
    "line of estimate": "1234567",
    "line of allotted": "600400",
    "line of arriving": "580000",
    "line of current layer": "1",
    "line of target layer": "2",
  });
});

it("follows the line down", () => {
  const narrow = { ...SECTION, currentSpatialLayer: 0, currentTemporalLayer: null, targetSpatialLayer: 0, targetTemporalLayer: null };
  const later = shown([REPORT, { ...REPORT, estimate: 250_000, congestion: "severe", media: { 0: narrow } }]);
  expect([later["estimate"], later["layer"], later["layer-note"]]).toEqual(["250 kbit/s", "q", "target q"]);
  expect([later["congestion"], later["line of estimate"]]).toEqual(["severe", "250000"]);
  expect([later["line of current layer"], later["line of target layer"]]).toEqual(["0", "0"]);
});

it("says that pictures are paused, and which layer they are to come back with", () => {
  const paused = shown([{ ...REPORT, media: { 0: { ...SECTION, paused: "bandwidth" } } }], 30_000);
  expect([paused["layer"], paused["layer-note"], paused["line of current layer"]]).toEqual(["paused", "target f T2", ""]);
});

it("makes up no figure that the server has not told", () => {
  const unknown = shown([{ media: {} }], 0, []);
  expect([unknown["estimate"], unknown["allotted"], unknown["allotted-note"]]).toEqual(["–", "–", ""]);
  expect([unknown["layer"], unknown["layer-note"], unknown["arriving-note"]]).toEqual(["–", "target –", ""]);
  expect([unknown["congestion"], unknown["quality"]]).toEqual(["none", ""]);
});

it("scales to a round bitrate above all that was", () => {
  const of = (estimate: number, arriving = 0) => scale(extend([], { estimate, media: {} }, arriving));
  expect([of(0), of(90_000), of(100_000), of(2_500_000), of(2_900_000), of(10, 4_000_000)]).toEqual([
    200_000, 200_000, 200_000, 3_000_000, 5_000_000, 5_000_000,
  ]);
});
