/**
 * The shapes of the API's answers that the page reads.
 *
 * They mirror the agent's model; a field that the agent may leave out is optional
 * or `null` here, so that the compiler asks what to show then.
 */

/** JSON has no words for these floats, so the agent sends strings. */
export type WireNumber = number | null | "NaN" | "+Inf" | "-Inf";

export interface RangeAnswer {
  start: string;
  end: string;
  start_ms: number;
  step_ms: number;
  resolutions: string[];
  series: {
    query: number;
    name: string;
    labels: Record<string, string>;
    values: WireNumber[];
    min?: WireNumber[];
    max?: WireNumber[];
  }[];
}

export interface InstantAnswer {
  time: string;
  series: { query: number; name: string; labels: Record<string, string>; at: string; value: WireNumber }[];
}

export type Health = "healthy" | "degraded" | "unhealthy" | "unknown";

export interface Component {
  name: string;
  status: Health;
  message: string;
  latency_ms?: number;
  checked_at?: string;
}

export interface HealthAnswer {
  status: Health;
  timestamp: string;
  components: Component[];
}

export type OutcomeClass = "ok" | "alive" | "recovering" | "soft" | "hard";

export interface OperationOutcome {
  operation: string;
  class: OutcomeClass;
  code?: string;
  detail?: string;
  latency_ms: number;
}

export interface ProbeRecord {
  target: string;
  kind: string;
  at: string;
  class: OutcomeClass;
  latency_ms: number;
  operations: OperationOutcome[];
}

/** In the electrical sense: open = calls are rejected. */
export type BreakerState = "closed" | "open" | "half_open" | "forced_open" | "disabled" | "metrics_only";

export interface TargetStatus {
  name: string;
  kind: string;
  address: string;
  interval_ms: number;
  /** Whether it is probed at all. */
  enabled: boolean;
  breaker: BreakerState;
  class?: OutcomeClass;
  since?: string;
  probes: number;
  failed: number;
  error_share: number;
  p50_ms?: number;
  p95_ms?: number;
  last?: ProbeRecord;
}

export interface List<T> {
  items: T[];
  total: number;
  next: string | null;
}

export interface SystemAnswer {
  version: string;
  build: { commit: string; target: string; profile: string };
  started_at: string;
  uptime_seconds: number;
  host: {
    hostname: string;
    os: string;
    kernel: string;
    arch: string;
    cpus: number;
    boot_time_seconds: number | null;
  };
  self: {
    cpu_seconds_total: number | null;
    /** Share of one core over the last minute. */
    cpu_percent: number | null;
    rss_bytes: number | null;
    written_bytes_total: number | null;
    open_files: number | null;
    threads: number | null;
  };
  store: { file_bytes: number; used_bytes: number; cap_bytes: number; series: number };
  collectors: { name: string; state: string; error?: string; last_duration_ms: number }[];
}

export interface Process {
  pid: number;
  name: string;
  cpu_percent: number;
  rss_bytes: number;
}

export interface TopProcesses {
  at: string;
  by_cpu: Process[];
  by_memory: Process[];
}

/** `null` is a subsystem that the host does not have. */
export interface HostSummary {
  collected_at_ms: number;
  cpu_usage_percent: number | null;
  memory_total_bytes: number | null;
  memory_used_bytes: number | null;
  memory_usage_percent: number | null;
  swap_total_bytes: number | null;
  swap_used_bytes: number | null;
  disk_total_bytes: number | null;
  disk_used_bytes: number | null;
  disk_usage_percent: number | null;
  disk_read_bytes_per_second: number | null;
  disk_written_bytes_per_second: number | null;
  network_receive_bytes_per_second: number | null;
  network_transmit_bytes_per_second: number | null;
  load1: number | null;
  load5: number | null;
  load15: number | null;
  pressure_cpu_percent: number | null;
  pressure_io_percent: number | null;
  pressure_memory_percent: number | null;
  temperature_celsius_max: number | null;
  uptime_seconds: number | null;
}

export interface ConfigAnswer {
  /** The configuration file, if there is one. */
  file: string | null;
  values: {
    key: string;
    value: unknown;
  }[];
}

export interface EventMessage {
  type: string;
  data: unknown;
  timestamp: string;
  seq: number;
}
