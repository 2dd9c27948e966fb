/** What is heard before there is a call: this phone's bell, or how it rings elsewhere where the network is silent. */

export type Bell = "ring" | "ringback";

/** Hertz, and seconds of sound and of silence. */
const PATTERNS: Readonly<Record<Bell, { readonly hertz: readonly number[]; readonly on: number; readonly off: number; readonly gain: number }>> = {
  ring: { hertz: [440, 554], on: 1, off: 2, gain: 0.12 },
  ringback: { hertz: [425], on: 1, off: 4, gain: 0.05 },
};

export class Ringer {
  private playing: Bell | null = null;
  private context: AudioContext | null = null;
  private timer = 0;

  /** Plays a bell until another, or none, is asked for. */
  play(bell: Bell | null): void {
    if (bell === this.playing) return;
    this.playing = bell;
    clearInterval(this.timer);
    void this.context?.close().catch(() => undefined);
    this.context = null;
    if (bell === null) return;
    const pattern = PATTERNS[bell];
    const context = (this.context = new AudioContext());
    const once = () => {
      for (const hertz of pattern.hertz) this.sound(context, hertz, pattern.on, pattern.gain);
    };
    once();
    this.timer = window.setInterval(once, (pattern.on + pattern.off) * 1000);
  }

  private sound(context: AudioContext, hertz: number, seconds: number, gain: number): void {
    const oscillator = new OscillatorNode(context, { frequency: hertz });
    const volume = new GainNode(context, { gain });
    oscillator.connect(volume).connect(context.destination);
    oscillator.start();
    oscillator.stop(context.currentTime + seconds);
  }
}
