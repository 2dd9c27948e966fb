/** A picture with a running clock and a tone, for publishing without devices. */
export function testCard(width: number, height: number, frameRate: number): MediaStream {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) throw new Error("this browser has no canvas");
  const draw = () => {
    drawCard(context, width, height, new Date());
  };
  draw();
  const stream = canvas.captureStream(frameRate);
  const audio = new AudioContext();
  const timer = setInterval(() => {
    // Who stops a track is told of its end by no event.
    if (stream.getVideoTracks().some((track) => track.readyState === "live")) {
      draw();
      return;
    }
    clearInterval(timer);
    void audio.close();
  }, 1000 / frameRate);
  stream.addTrack(tone(audio));
  return stream;
}

const BARS = ["#c0c0c0", "#c0c000", "#00c0c0", "#00c000", "#c000c0", "#c00000", "#0000c0"];

function drawCard(context: CanvasRenderingContext2D, width: number, height: number, now: Date): void {
  BARS.forEach((colour, i) => {
    context.fillStyle = colour;
    context.fillRect(Math.floor((i * width) / BARS.length), 0, Math.ceil(width / BARS.length), height);
  });
  const x = ((now.getTime() % 2000) / 2000) * width;
  context.fillStyle = "#ffffff";
  context.fillRect(x, height * 0.72, width * 0.04, height * 0.2);
  context.fillStyle = "#101418";
  context.fillRect(width * 0.14, height * 0.36, width * 0.72, height * 0.26);
  context.fillStyle = "#f4f6f8";
  context.font = `600 ${Math.round(height * 0.15)}px ui-monospace, monospace`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(now.toISOString().slice(11, 23), width / 2, height * 0.49);
}

function tone(audio: AudioContext): MediaStreamTrack {
  const oscillator = audio.createOscillator();
  const gain = audio.createGain();
  const out = audio.createMediaStreamDestination();
  oscillator.frequency.value = 440;
  gain.gain.value = 0.2;
  oscillator.connect(gain).connect(out);
  oscillator.start();
  const track = out.stream.getAudioTracks()[0];
  if (track === undefined) throw new Error("this browser made no audio track");
  return track;
}
