/** Lines on a grid of 24 by 24, drawn for this application. */
const PATHS = {
  mic: "M12 4a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0v-5A2.5 2.5 0 0 1 12 4zM6.5 11.5a5.5 5.5 0 0 0 11 0M12 17v3.5",
  micOff: "M12 4a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0v-5A2.5 2.5 0 0 1 12 4zM6.5 11.5a5.5 5.5 0 0 0 11 0M12 17v3.5M4 4l16 16",
  camera: "M3.5 7.5h11v9h-11zM14.5 11l6-3v8l-6-3",
  cameraOff: "M3.5 7.5h11v9h-11zM14.5 11l6-3v8l-6-3M4 3.5l16 17",
  screen: "M3.5 5h17v11h-17zM9 20h6M12 16v4M12 13.5v-5M9.5 10.5l2.500-2.500 2.500 2.500",
  hand: "M8 12V6.200a1.200 1.200 0 0 1 2.400 0V11M10.400 11V4.700a1.200 1.200 0 0 1 2.400 0V11M12.800 11V5.700a1.200 1.200 0 0 1 2.400 0V12M15.200 12V8a1.200 1.200 0 0 1 2.400 0v6.500a6 6 0 0 1-10.800 3.600L4.500 14.500a1.300 1.300 0 0 1 2-1.600L8 14.500V12",
  chat: "M4 5h16v11H11l-4.500 4v-4H4z",
  people: "M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3.500 19a5.500 5.500 0 0 1 11 0M16 11a2.500 2.500 0 1 0-1-4.800M16.500 13.700a5 5 0 0 1 4 5.300",
  grid: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  speaker: "M3.500 5h17v9.500h-17zM4 17.500h4.500V20H4zM10 17.500h4.500V20H10zM16 17.500h4.500V20H16z",
  keys: "M3 7h18v10H3zM6.500 10.500h.01M10 10.500h.01M13.500 10.500h.01M17 10.500h.01M8 14h8",
  leave: "M4 14.500c4.500-4.500 11.500-4.500 16 0l-2.500 2.500-3-1.500v-2.300a9 9 0 0 0-5 0v2.300l-3 1.500z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.7" strokeLinecap="round" strokeLinejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}

const HEIGHTS = { excellent: 3, good: 2, poor: 1, lost: 0, unknown: 0 } as const;

/** Three bars, as many filled as the connection is good. */
export function Bars({ quality, label }: { quality: keyof typeof HEIGHTS; label: string }) {
  return (
    <svg className={`bars ${quality}`} viewBox="0 0 16 14" width="16" height="14" role="img" aria-label={label}>
      {[0, 1, 2].map((bar) => (
        <rect key={bar} x={1 + bar * 5} y={10 - bar * 4} width="3.600" height={4 + bar * 4} rx="1" className={bar < HEIGHTS[quality] ? "on" : ""} />
      ))}
    </svg>
  );
}
