// What nvidia-smi prints, taken apart: CSV rows, the list of devices, and its errors, which come on stdout. Pure.
import type { DeviceReading } from '../../core/snapshot.ts';

/** Properties asked for, in this order, with `--query-gpu`. */
export const QUERY_FIELDS: readonly string[] = [
  'index',
  'uuid',
  'name',
  'utilization.gpu',
  'memory.used',
  'memory.total',
  'power.draw',
  'temperature.gpu',
  'mig.mode.current',
];

/** One line of output. */
export type NvidiaSmiLine =
  | { readonly kind: 'row'; readonly device: DeviceReading; readonly isMig: boolean }
  | { readonly kind: 'error'; readonly fault: NvidiaSmiFault }
  /** a header row, an empty line, the second line of an error */
  | { readonly kind: 'noise' }
  | { readonly kind: 'garbage' };

/** A message of nvidia-smi that is known. */
export interface NvidiaSmiFault {
  /** The line as it came, cut to 200 characters. */
  readonly message: string;
  /** What a person should do about it. */
  readonly remedy: string;
  /** A field of the query that this driver does not know. */
  readonly unknownField: string | null;
  /** True when it is about one device while others still report. */
  readonly isPartial: boolean;
}

/** A line of `nvidia-smi -L`. */
export interface ListedDevice {
  readonly index: string;
  readonly uuid: string;
  readonly name: string;
  /** UUID of the GPU this MIG slice is cut from; null for a GPU. */
  readonly parentUuid: string | null;
}

const MIB = 1_048_576;
/** Bytes of each unit a memory value may carry; with `nounits` there is none and MiB is meant. */
const MEMORY_UNITS: Readonly<Record<string, number>> = { '': MIB, KiB: 1024, MiB: MIB, GiB: 1024 * MIB, B: 1 };

/**
 * One line of `--format=csv,noheader,nounits` (a header, and units on the values, are understood too). Every form of
 * "not known" is null: empty, `N/A`, `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]`, `[Unknown Error]`,
 * `[Function Not Found]`, `[Requested functionality has been deprecated]`, `[GPU requires reset]` and whatever else
 * comes in brackets. A number out of its range is null too. A line with another number of cells is garbage as a
 * whole: half a row must not become a reading. Never throws.
 */
export function parseCsvLine(line: string, fields: readonly string[] = QUERY_FIELDS): NvidiaSmiLine {
  const text = line.trim();
  if (text === '') return { kind: 'noise' };
  const cells = text.split(',').map((cell) => cell.trim());
  if (cells.length !== fields.length) {
    const fault = toFault(text);
    if (fault !== null) return { kind: 'error', fault };
    return isErrorTail(text) ? { kind: 'noise' } : { kind: 'garbage' };
  }
  // `utilization.gpu [%]` names the column; a value never begins with the name of its own field.
  if (cells.every((cell, i) => cell === fields[i] || cell.startsWith(`${fields[i]} [`))) return { kind: 'noise' };
  const cell = (field: string): string | null => toPresent(cells[fields.indexOf(field)] ?? '');
  const index = cell('index');
  const uuid = cell('uuid');
  if (index === null || uuid === null || !/^\d{1,4}$/.test(index) || !/^[\w-]{1,80}$/.test(uuid))
    return { kind: 'garbage' };
  const utilizationPercent = toNumber(cell('utilization.gpu'), ['', '%'], 100);
  return {
    kind: 'row',
    isMig: cell('mig.mode.current') === 'Enabled',
    device: {
      index,
      uuid,
      name: cell('name'),
      utilizationRatio: utilizationPercent === null ? null : utilizationPercent / 100,
      memoryUsedBytes: toBytes(cell('memory.used')),
      memoryTotalBytes: toBytes(cell('memory.total')),
      powerWatts: toNumber(cell('power.draw'), ['', 'W'], 100_000),
      temperatureCelsius: toNumber(cell('temperature.gpu'), ['', 'C'], 200),
      parentUuid: null,
    },
  };
}

/**
 * `nvidia-smi -L`: GPUs, each followed by its MIG slices. A container that holds only a slice may see the slice under
 * a GPU that it cannot query. Lines of other forms are skipped.
 *
 * ```
 * GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-…)
 *   MIG 3g.40gb     Device  0: (UUID: MIG-…)
 * ```
 */
export function parseDeviceList(text: string): ListedDevice[] {
  const devices: ListedDevice[] = [];
  let gpu: ListedDevice | null = null;
  for (const line of text.split('\n')) {
    const gpuMatch = /^GPU (\d{1,4}): (.{1,100}?) \(UUID: ([\w-]{1,80})\)\s*$/.exec(line);
    if (gpuMatch !== null) {
      gpu = { index: gpuMatch[1]!, name: gpuMatch[2]!, uuid: gpuMatch[3]!, parentUuid: null };
      devices.push(gpu);
      continue;
    }
    // Drivers before 470 print `MIG-GPU-<parent>/<gi>/<ci>`.
    const migMatch = /^\s+MIG (\S{1,40})\s+Device\s+(\d{1,3}): \(UUID: ([\w/-]{1,120})\)\s*$/.exec(line);
    if (migMatch !== null && gpu !== null)
      devices.push({
        index: `${gpu.index}:${migMatch[2]}`,
        name: `${gpu.name} MIG ${migMatch[1]}`,
        uuid: migMatch[3]!,
        parentUuid: gpu.uuid,
      });
  }
  return devices;
}

/** A slice of which only the identity is known: nvidia-smi reports no utilisation and no power for it. */
export function toUnknownReading(device: ListedDevice): DeviceReading {
  return {
    ...device,
    utilizationRatio: null,
    memoryUsedBytes: null,
    memoryTotalBytes: null,
    powerWatts: null,
    temperatureCelsius: null,
  };
}

const REDEPLOY = 'restart the pod; if it stays, drain and reboot the node';
/** Messages seen in the field, the first that matches counts. */
const FAULTS: readonly (readonly [pattern: RegExp, remedy: string, isPartial?: true])[] = [
  [/driver\/library version mismatch/i, `the driver was upgraded under the running kernel module: ${REDEPLOY}`],
  [
    /failed to initialize nvml: unknown error/i,
    'the container lost access to its GPU device files, as a reload of systemd does: restart the pod, or use CDI',
  ],
  [
    /failed to initialize nvml: (insufficient|no) permission/i,
    'let the container open /dev/nvidia* (runtime class nvidia)',
  ],
  [/failed to initialize nvml/i, 'check that the NVIDIA driver is loaded on the node and its libraries are mounted'],
  [/couldn't communicate with the nvidia driver/i, 'load the NVIDIA driver on the node'],
  [/no devices (were )?found/i, 'no GPU is visible in this container: share a DRA claim or set NVIDIA_VISIBLE_DEVICES'],
  [/is not a valid field to query/i, 'the driver is older than the field: it is left out'],
  [/gpu is lost|fallen off the bus/i, 'the GPU fell off the bus: drain and reboot the node'],
  [
    /unable to determine the device handle/i,
    'one GPU does not answer (see its XID errors): drain and reboot the node',
    true,
  ],
  [
    /^GPU ?\d*:? ?[\da-f:.]*: unknown error/i,
    'one GPU does not answer (see its XID errors): drain and reboot the node',
    true,
  ],
  [/insufficient permissions/i, 'let the container open /dev/nvidia* (runtime class nvidia)'],
  [/error while loading shared libraries|cannot open shared object/i, 'mount the driver libraries into the container'],
  [/gpu requires (a )?reset/i, 'the GPU asks for a reset: drain the node and reset it', true],
];

/** Null when the text is no error that is known. */
export function toFault(text: string): NvidiaSmiFault | null {
  for (const [pattern, remedy, isPartial] of FAULTS)
    if (pattern.test(text))
      return {
        message: text.trim().slice(0, 200),
        remedy,
        unknownField: /^Field "([\w.]{1,60})" is not a valid field/.exec(text)?.[1] ?? null,
        isPartial: isPartial ?? false,
      };
  return null;
}

/** Exit codes of nvidia-smi: its manual page "RETURN VALUE", and 18 as seen with a mismatched library. */
const EXIT_CODES: Readonly<Record<number, string>> = {
  2: 'an argument or field was refused',
  3: 'the operation is not available on this device',
  4: 'no permission',
  6: 'the device was not found',
  8: "a device's power cable is not attached",
  9: 'the NVIDIA driver is not loaded',
  10: 'the kernel found an interrupt problem with a GPU',
  12: 'the NVML library was not found',
  13: 'the NVML library lacks a function',
  14: "a device's infoROM is corrupt",
  15: 'a GPU fell off the bus',
  18: 'driver and library versions do not match',
  127: 'the program or one of its libraries is missing',
  255: 'an unknown error of the driver',
};

export function toExitSentence(code: number): string {
  const meaning = EXIT_CODES[code];
  return meaning === undefined ? `exit code ${code}` : `exit code ${code}: ${meaning}`;
}

/** The lines that follow an error and say nothing more. */
function isErrorTail(text: string): boolean {
  return text.startsWith('NVML library version: ') || /^\(?Reason: /.test(text);
}

function toPresent(cell: string): string | null {
  if (cell === '' || cell === '-' || /^\[.*\]$/.test(cell) || /^(n\/a|unknown|not supported)$/i.test(cell)) return null;
  return cell;
}

function toNumber(cell: string | null, units: readonly string[], max: number): number | null {
  const match = /^(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z%]{0,3})$/.exec(cell ?? '');
  if (match === null || !units.includes(match[2]!)) return null;
  const value = Number(match[1]);
  return value > max ? null : value;
}

function toBytes(cell: string | null): number | null {
  const match = /^(\d{1,12}) ?([A-Za-z]{0,3})$/.exec(cell ?? '');
  const unit = match === null ? undefined : MEMORY_UNITS[match[2]!];
  return unit === undefined ? null : Number(match![1]) * unit;
}
