import { access, constants, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Toolbox } from "../compose/toolbox.ts";
import { AtollError, isSystemError } from "../errors.ts";

/** `kvm`: the processor itself runs the machine. `tcg`: QEMU emulates it, five to twenty times slower. */
export type Accelerator = "kvm" | "tcg";

export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** Why, as the end of a sentence: "KVM works here". */
  readonly reason: string;
}

interface AcceleratorOptions {
  readonly toolbox: Toolbox;
  /** `labDirectory()`: the probe's answer is kept there, and holds until this computer boots again. */
  readonly lab: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

const kvmDevice = "/dev/kvm";

/**
 * Chooses how machines run here. That /dev/kvm is there proves nothing (it may be a shell around an emulator, or fail
 * on the processor that the machine is to have), so a guest of a few instructions has to run on it first.
 * `ATOLL_ACCELERATOR=kvm|tcg` decides instead. Errors: USAGE for another value; INTERRUPTED.
 */
export async function chooseAccelerator(options: AcceleratorOptions): Promise<AcceleratorChoice> {
  const env = options.env ?? process.env;
  const wish = env.ATOLL_ACCELERATOR;
  if (wish === "kvm" || wish === "tcg") return { accelerator: wish, reason: "ATOLL_ACCELERATOR says so" };
  if (wish) {
    throw new AtollError("USAGE", {
      problem: `ATOLL_ACCELERATOR is "${wish}", not kvm or tcg`,
      help: "atoll lab start --help",
    });
  }
  try {
    await access(kvmDevice, constants.R_OK | constants.W_OK);
  } catch (error) {
    const reason = isSystemError(error, "ENOENT")
      ? `this computer has no ${kvmDevice}`
      : `this account may not use ${kvmDevice}`;
    return { accelerator: "tcg", reason };
  }
  return (await probed(options))
    ? { accelerator: "kvm", reason: "KVM works here" }
    : { accelerator: "tcg", reason: `${kvmDevice} is there, but a test machine does not run on it` };
}

/** The probe's answer: from the file where it was kept since this computer booted, or from a new run. */
async function probed(options: AcceleratorOptions): Promise<boolean> {
  const computer = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const directory = join(options.lab, ".accelerator");
  const known = join(directory, "kvm-probe");
  const [when, answer, until = ""] = (await readFile(known, "utf8").catch(() => "")).split("\n");
  const holds = until === "" || Date.now() < Date.parse(until);
  if (when === computer && holds && (answer === "works" || answer === "fails")) return answer === "works";
  await mkdir(directory, { recursive: true });
  const answered = await probe(options, directory);
  // No answer in time, on a computer that is busy, is no reason to give KVM up until its next boot.
  const renewal = answered === null ? new Date(Date.now() + hourMs).toISOString() : "";
  await writeFile(known, `${computer}\n${answered ? "works" : "fails"}\n${renewal}`);
  return answered ?? false;
}

const probeSeconds = 10;
const hourMs = 3_600_000;

/** Whether KVM works; null when QEMU came to no end in time. */
async function probe({ toolbox, signal }: AcceleratorOptions, directory: string): Promise<boolean | null> {
  const firmware = join(directory, `kvm-probe-${process.pid}.bin`);
  const limit = AbortSignal.timeout(probeSeconds * 1000);
  await writeFile(firmware, probeFirmware());
  try {
    const { code } = await toolbox.run(
      [
        "qemu-system-x86_64",
        ...["-accel", "kvm", "-cpu", "max", "-machine", "q35", "-m", "64"],
        ...["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-bios", firmware],
        ...["-device", `isa-debug-exit,iobase=${exitPort},iosize=1`],
      ],
      {
        step: "trying KVM",
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        accept: [probeExitCode],
      },
    );
    return code === probeExitCode;
  } catch (error) {
    if (signal?.aborted) throw error;
    return limit.aborted ? null : false;
  } finally {
    await rm(firmware, { force: true });
  }
}

const exitPort = 0xf4;
/** The guest writes 16 to the exit port; QEMU's isa-debug-exit then ends with twice that and one. */
const probeExitCode = 33;

/**
 * A firmware that does what every kernel must do first: it makes page tables, enters 64-bit mode with paging, adds in
 * an SSE2 register, and writes the sum to the exit port. A KVM that cannot do this cannot run Linux.
 */
export function probeFirmware(): Uint8Array {
  const size = 0x10000;
  const halt = 0xf4;
  const firmware = Buffer.alloc(size, halt);
  Buffer.from(probeCode.replaceAll(/\s/g, ""), "hex").copy(firmware, 0);
  // The processor starts 16 bytes below the end: jump to the first byte.
  Buffer.from("ea000000f0", "hex").copy(firmware, size - 16);
  return firmware;
}

/** Machine code, loaded at 0xf0000. One instruction a line, with its assembly. */
const probeCode = [
  "fa", // cli
  "31c0", // xor ax, ax
  "8ed8", // mov ds, ax
  "66c706001003200000", // mov dword [0x1000], 0x2003: first level, present and writable
  "66c706002003300000", // mov dword [0x2000], 0x3003: second level
  "66c706003083000000", // mov dword [0x3000], 0x83: the first 2 MiB as one page
  "66b820020000", // mov eax, 0x220: PAE, OSFXSR
  "0f22e0", // mov cr4, eax
  "66b800100000", // mov eax, 0x1000
  "0f22d8", // mov cr3, eax
  "66b9800000c0", // mov ecx, 0xc0000080: EFER
  "66b800010000", // mov eax, 0x100: long mode enable
  "6631d2", // xor edx, edx
  "0f30", // wrmsr
  "2e660f01168000", // lgdt cs:[0x80]
  "66b811000080", // mov eax, 0x80000011: paging, protected mode
  "0f22c0", // mov cr0, eax
  "66ea5b000f000800", // jmp 8:0xf005b, the next instruction, now in 64-bit mode
  "b808000000", // mov eax, 8
  "660f6ec0", // movd xmm0, eax
  "660ffec0", // paddd xmm0, xmm0
  "660f7ec0", // movd eax, xmm0
  "e6f4", // out 0xf4, al
  "f490", // hlt, and padding
  "0000000000000000", // 0x70: descriptor table: null,
  "ffff0000009aaf00", // 64-bit code
  "0f0070000f00", // 0x80: its limit and address
].join("");
