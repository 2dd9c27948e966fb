/** A moment in seconds since the epoch, as people here write it; with its day when that is not today. */
export function timeOf(seconds: number, now = new Date()): string {
  const moment = new Date(seconds * 1000);
  const time = moment.toLocaleTimeString();
  return moment.toDateString() === now.toDateString() ? time : `${moment.toLocaleDateString()} ${time}`;
}

/** How long something took, in its two largest units. */
export function durationOf(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
