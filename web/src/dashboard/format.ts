/** A moment in seconds since the epoch, as people here write it. */
export const timeOf = (seconds: number) => new Date(seconds * 1000).toLocaleTimeString();
