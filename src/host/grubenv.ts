/**
 * GRUB's environment block, where the boot loader and this daemon keep the trial's state: 1024 bytes, a fixed first
 * line, `name=value` lines with `\` before `\` and newline in values, the rest filled with `#` (GRUB's lib/envblk.c).
 */
import { type FileHandle, open } from "node:fs/promises";
import { isSystemError } from "../errors.ts";

export type GrubVariables = ReadonlyMap<string, string>;

/** The part of the block that the boot contract speaks of. */
export interface BootState {
  /** Boot id last proven good. */
  readonly good: string | null;
  /** Boot id on trial. */
  readonly trial: string | null;
  readonly tries: string | null;
}

const size = 1024;
const signature = "# GRUB Environment Block\n";

/** The variables in `block`; none when it is no environment block. */
export function parseGrubenv(block: Buffer): GrubVariables {
  const text = block.toString("latin1");
  const variables = new Map<string, string>();
  if (!text.startsWith(signature)) return variables;
  let line = "";
  for (let at = signature.length; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === "#" && line === "") break;
    if (character === "\\") {
      line += text.charAt(at + 1);
      at++;
    } else if (character === "\n") {
      const equals = line.indexOf("=");
      if (equals > 0) variables.set(line.slice(0, equals), line.slice(equals + 1));
      line = "";
    } else {
      line += character;
    }
  }
  return variables;
}

/** `variables` as a block of 1024 bytes. Throws RangeError when they do not fit. */
export function formatGrubenv(variables: GrubVariables): Buffer {
  const lines = [...variables].map(([name, value]) => `${name}=${value.replace(/[\\\n]/g, "\\$&")}\n`);
  const text = Buffer.from(signature + lines.join(""), "latin1");
  if (text.length > size)
    throw new RangeError(`the boot loader's environment of ${text.length} bytes is over ${size}`);
  return Buffer.concat([text, Buffer.alloc(size - text.length, "#")]);
}

export function bootStateOf(variables: GrubVariables): BootState {
  const value = (name: string): string | null => variables.get(name) || null;
  return { good: value("atoll_good"), trial: value("atoll_trial"), tries: value("atoll_tries") };
}

/** `variables` with `bootId` proven good and no trial. */
export function withGood(variables: GrubVariables, bootId: string): GrubVariables {
  const kept = [...variables].filter(([name]) => !name.startsWith("atoll_"));
  return new Map([...kept, ["atoll_good", bootId]]);
}

/** `variables` with `bootId` on trial and `tries` left: for a boot loader that had nowhere to count. */
export function withTrial(variables: GrubVariables, bootId: string, tries: number): GrubVariables {
  return new Map([...variables, ["atoll_trial", bootId], ["atoll_tries", String(tries)]]);
}

/** Where the boot loader and this daemon keep the trial's state. */
export interface BootLoader {
  /** Empty when there is no block, or it is damaged. Throws when it cannot be read: it may hold what others wrote. */
  read(): Promise<GrubVariables>;
  /**
   * Writes the block in place: one write of 1024 bytes over the same blocks of the disk, then fsync. GRUB finds the
   * file by its block list, so it must be neither truncated nor replaced; and a power cut leaves the old or the new.
   */
  write(variables: GrubVariables): Promise<void>;
}

/** The environment block in the file at `path`. */
export function grubEnvironment(path: string): BootLoader {
  return { read: () => readBlock(path), write: (variables) => writeBlock(path, variables) };
}

async function readBlock(path: string): Promise<GrubVariables> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
    return new Map();
  }
  try {
    const block = Buffer.alloc(size);
    const { bytesRead } = await file.read(block, 0, size, 0);
    return bytesRead === size ? parseGrubenv(block) : new Map();
  } finally {
    await file.close();
  }
}

async function writeBlock(path: string, variables: GrubVariables): Promise<void> {
  const block = formatGrubenv(variables);
  const file = await open(path, "r+").catch((error: unknown) => {
    if (!isSystemError(error, "ENOENT")) throw error;
    return open(path, "wx", 0o644);
  });
  try {
    await file.write(block, 0, size, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
