import { describe, expect, it } from "vitest";
import { withIce } from "./http";

describe("withIce", () => {
  it("replaces credentials and candidates and leaves the rest", () => {
    const description = ["v=0", "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:0", "a=ice-ufrag:old", "a=ice-pwd:oldpwd", "a=candidate:1 1 udp 1 127.0.0.1 1 typ host", "a=rtpmap:96 VP8/90000", ""].join("\r\n");
    const fragment = "a=ice-ufrag:new\r\na=ice-pwd:newpwd\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:2 1 udp 2 127.0.0.1 2 typ host\r\n";
    expect(withIce(description, fragment).split("\r\n")).toEqual([
      "v=0",
      "m=video 9 UDP/TLS/RTP/SAVPF 96",
      "a=mid:0",
      "a=candidate:2 1 udp 2 127.0.0.1 2 typ host",
      "a=ice-ufrag:new",
      "a=ice-pwd:newpwd",
      "a=rtpmap:96 VP8/90000",
      "",
    ]);
  });
});
