import type { Accelerator } from "./accelerator.ts";

/** How the machine starts: UEFI without or with Secure Boot (Microsoft's keys), or the old BIOS. */
export type Firmware = "uefi" | "secureboot" | "bios";

export const firmwares: readonly Firmware[] = ["uefi", "secureboot", "bios"];

/** A port of this computer (on 127.0.0.1 only) that leads to one of the machine. */
export interface PortForward {
  readonly host: number;
  readonly guest: number;
}

export interface DiskFile {
  readonly file: string;
  readonly format: "raw" | "qcow2";
  /**
   * Log of every write with its flushes, by QEMU's blklogwrites (src/lab/writelog.ts reads it), for tests that cut
   * the power. QEMU makes the file.
   */
  readonly writeLog?: string;
}

/** A systemd credential for the first boot: its name, and the file that QEMU reads it from. */
export interface CredentialFile {
  readonly name: string;
  /** `fw_cfg`: the file holds the credential itself. `smbios`: the file holds the line that `smbiosLine` makes. */
  readonly by: "fw_cfg" | "smbios";
  readonly file: string;
}

/** All that decides how QEMU is called. Paths are as QEMU sees them. */
export interface QemuOptions {
  readonly name: string;
  /** Told to the machine by its firmware; a UUID. */
  readonly id: string;
  readonly accelerator: Accelerator;
  readonly firmware: Firmware;
  /** The machine's own copy of the UEFI variables; not used by BIOS. */
  readonly variables: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly disk: DiskFile;
  readonly macAddress: string;
  readonly forwards: readonly PortForward[];
  readonly credentials: readonly CredentialFile[];
  /** Unix socket of the serial console. */
  readonly consoleSocket: string;
  /** Everything that the serial console ever said; appended to. */
  readonly consoleLog: string;
  /** Unix socket of QEMU's machine protocol. */
  readonly monitorSocket: string;
}

const ovmf = "/usr/share/OVMF";

/** The firmware's code, and the variables that a new machine starts from, as the toolbox has them. */
export function firmwareFiles(
  firmware: Firmware,
): { readonly code: string; readonly variables: string } | null {
  switch (firmware) {
    case "bios":
      return null;
    case "uefi":
      return { code: `${ovmf}/OVMF_CODE_4M.fd`, variables: `${ovmf}/OVMF_VARS_4M.fd` };
    case "secureboot":
      return { code: `${ovmf}/OVMF_CODE_4M.secboot.fd`, variables: `${ovmf}/OVMF_VARS_4M.ms.fd` };
  }
}

/** The command that is one machine. Pure: the same options give the same words. */
export function qemuCommand(options: QemuOptions): [string, ...string[]] {
  return [
    "qemu-system-x86_64",
    ...["-name", options.name, "-uuid", options.id],
    ...["-no-user-config", "-nodefaults", "-display", "none"],
    ...machineArguments(options),
    ...diskArguments(options.disk),
    ...networkArguments(options),
    ...["-device", "virtio-rng-pci"],
    // The boot contract's watchdog: a hang anywhere resets the machine, as it would on real hardware.
    ...["-device", "i6300esb", "-action", "watchdog=reset"],
    ...[
      "-chardev",
      `socket,id=console,path=${comma(options.consoleSocket)},server=on,wait=off,logfile=${comma(options.consoleLog)},logappend=on`,
    ],
    ...["-serial", "chardev:console"],
    ...["-qmp", `unix:${comma(options.monitorSocket)},server=on,wait=off`],
    ...options.credentials.flatMap(credentialArguments),
  ];
}

function machineArguments(options: QemuOptions): string[] {
  const secure = options.firmware === "secureboot";
  const files = firmwareFiles(options.firmware);
  return [
    ...["-machine", secure ? "q35,smm=on" : "q35"],
    ...["-accel", options.accelerator === "kvm" ? "kvm" : "tcg,thread=multi"],
    ...["-cpu", "max", "-smp", String(options.cpus), "-m", String(options.memoryMiB)],
    // Secure Boot holds only if nothing but the firmware itself can write its variables.
    ...(secure ? ["-global", "driver=cfi.pflash01,property=secure,value=on"] : []),
    ...(files
      ? [
          ...["-drive", `if=pflash,unit=0,format=raw,readonly=on,file=${comma(files.code)}`],
          ...["-drive", `if=pflash,unit=1,format=raw,file=${comma(options.variables)}`],
        ]
      : []),
  ];
}

/**
 * Flushes of the machine end in this computer's page cache: they hold when QEMU is killed, not when this computer
 * itself loses power. A lab can be made again, and it is much quicker so.
 */
function diskArguments(disk: DiskFile): string[] {
  const file = {
    driver: "file",
    filename: disk.file,
    cache: { "no-flush": true },
    discard: "unmap",
  };
  const image = { driver: disk.format, "node-name": "image", file, discard: "unmap" };
  const logged = disk.writeLog && {
    driver: "blklogwrites",
    "node-name": "disk",
    file: "image",
    log: { driver: "file", filename: disk.writeLog, cache: { "no-flush": true } },
    "log-sector-size": 512,
  };
  return [
    ...["-blockdev", JSON.stringify(image)],
    ...(logged ? ["-blockdev", JSON.stringify(logged)] : []),
    ...["-device", `virtio-blk-pci,drive=${logged ? "disk" : "image"},bootindex=1`],
  ];
}

function networkArguments(options: QemuOptions): string[] {
  const forwards = options.forwards.map(({ host, guest }) => `,hostfwd=tcp:127.0.0.1:${host}-:${guest}`);
  return [
    ...["-netdev", `user,id=net${forwards.join("")}`],
    // No option ROM: the firmware must not try to boot from the network.
    ...["-device", `virtio-net-pci,netdev=net,mac=${options.macAddress},romfile=`],
  ];
}

function credentialArguments(credential: CredentialFile): string[] {
  return credential.by === "fw_cfg"
    ? ["-fw_cfg", `name=${fwCfgPrefix}${credential.name},file=${comma(credential.file)}`]
    : ["-smbios", `type=11,path=${comma(credential.file)}`];
}

/** Where systemd looks for credentials in QEMU's fw_cfg (systemd.system-credentials(7)). */
export const fwCfgPrefix = "opt/io.systemd.credentials/";

/** In QEMU's option lists a comma inside a value is written twice. */
function comma(value: string): string {
  return value.replaceAll(",", ",,");
}
