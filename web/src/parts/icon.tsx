/** Icons as strokes of a 20 by 20 square; they take the colour of the text beside them. */

const PATHS = {
  overview: "M3 3h6v6H3zM11 3h6v6h-6zM3 11h6v6H3zM11 11h6v6h-6z",
  host: "M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01M10 6.5h4M10 13.5h4",
  auto: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
  light: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.4 1.4M14.6 14.6 16 16M16 4l-1.4 1.4M5.4 14.6 4 16",
  dark: "M16.5 11.8A7 7 0 0 1 8.2 3.5a7 7 0 1 0 8.3 8.3z",
  help: "M7.2 7.4a2.8 2.8 0 1 1 4 2.5c-.8.4-1.2 1-1.2 2.1M10 15.2h.01",
  copy: "M7 7h10v10H7zM13 7V3H3v10h4",
  check: "M4 10.5 8.2 15 16 5.5",
  play: "M6 4.2v11.6L15.5 10z",
  pause: "M7 4.5v11M13 4.5v11",
  menu: "M3 5h14M3 10h14M3 15h14",
  search: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM13 13l4 4",
  close: "M5 5l10 10M15 5 5 15",
  enter: "M11 3h5v14h-5M3 10h9M8.5 6.5 12 10l-3.5 3.5",
  leave: "M9 3H4v14h5M8 10h9M13.5 6.5 17 10l-3.5 3.5",
  alert: "M10 3a5 5 0 0 0-5 5c0 4-1.5 5.5-1.5 5.5h13S15 12 15 8a5 5 0 0 0-5-5zM8.5 16.5h3",
  rules: "M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4",
  silence: "M5.5 6.5A5 5 0 0 1 15 8c0 2 .4 3.4.8 4.3M5 8c0 4-1.5 5.5-1.5 5.5H13M8.5 16.5h3M3 3l14 14",
  channels: "M17 3 9 11M17 3l-5 14-3-6-6-3z",
  targets: "M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 10h.01",
  failover: "M3 6.5h11l-3-3M17 13.5H6l3 3",
  explore: "M3 16.5h14M4 13l4-5 3 3 5-7",
  storage: "M3 5.5C3 4 6 3 10 3s7 1 7 2.5S14 8 10 8 3 7 3 5.5zM3 5.5v9C3 16 6 17 10 17s7-1 7-2.5v-9M3 10c0 1.5 3 2.5 7 2.5s7-1 7-2.5",
  events: "M7 5h10M7 10h10M7 15h10M3.5 5h.01M3.5 10h.01M3.5 15h.01",
  tasks: "M3 5.5 4.5 7 7 4M3 13.5 4.5 15 7 12M10 6h7M10 14h7",
  settings: "M10 7a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM10 2.5V5M10 15v2.5M2.5 10H5M15 10h2.5M4.7 4.7l1.8 1.8M13.5 13.5l1.8 1.8M15.3 4.7l-1.8 1.8M6.5 13.5l-1.8 1.8",
  api: "M7 5 2.5 10 7 15M13 5l4.5 5-4.5 5",
  book: "M10 5.5C8 4 5.5 3.5 3 3.5V15c2.5 0 5 .5 7 2 2-1.5 4.5-2 7-2V3.5c-2.5 0-5 .5-7 2zM10 5.5V17",
  access: "M12.5 3a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM9.3 10.7 3 17h3v-2h2v-2h1.5",
  maintain: "M3 4.5h14v4H3zM4.5 8.5V16h11V8.5M8 12h4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
