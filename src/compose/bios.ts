/** Makes a disk boot by BIOS: what grub-install does, but to bytes, without a device. */

const sectorSize = 512;

/** Offsets into GRUB's boot.img (grub-core/boot/i386/pc/boot.S, include/grub/i386/pc/boot.h). */
const bootImage = {
  /** Bytes up to the disk signature and the partition table, which stay as they are. */
  codeSize: 440,
  /** 64-bit little endian: sector where the core image begins. */
  kernelSector: 0x5c,
  /** The drive to read from; 0xff is the one that the BIOS booted. */
  bootDrive: 0x64,
  /** A jump that leaves out the check of the drive number; two no-ops turn the check on, for BIOSes that lie. */
  driveCheck: 0x66,
} as const;

/**
 * Where the last block list of the core image's first sector lies (grub-core/boot/i386/pc/diskboot.S):
 * 64-bit first sector, 16-bit number of sectors, 16-bit segment to load them to.
 */
const blockList = { offset: sectorSize - 12, segment: 0x820 } as const;

export interface BiosBoot {
  /** For the first bytes of the disk. */
  readonly bootCode: Uint8Array;
  /** For the BIOS boot partition, from its first sector. */
  readonly core: Uint8Array;
}

/**
 * GRUB's `boot` image and `core` image, told where they will lie: the core in the `sectors` sectors from
 * `firstSector`. Errors: RangeError when the core does not fit, or an image is no such image.
 */
export function placeBiosBoot(
  boot: Uint8Array,
  core: Uint8Array,
  firstSector: number,
  sectors: number,
): BiosBoot {
  if (boot.length !== sectorSize)
    throw new RangeError(`boot.img has ${boot.length} bytes, not ${sectorSize}`);
  const coreSectors = Math.ceil(core.length / sectorSize);
  if (coreSectors < 2) throw new RangeError(`core.img has ${core.length} bytes: too few`);
  if (coreSectors > sectors) {
    throw new RangeError(`core.img needs ${coreSectors} sectors, the BIOS boot partition has ${sectors}`);
  }
  const bootCode = Buffer.from(boot);
  bootCode.writeBigUInt64LE(BigInt(firstSector), bootImage.kernelSector);
  bootCode.writeUInt8(0xff, bootImage.bootDrive);
  bootCode.fill(0x90, bootImage.driveCheck, bootImage.driveCheck + 2);
  const whole = Buffer.alloc(coreSectors * sectorSize);
  whole.set(core);
  // The first sector loads the rest of the core, which follows it.
  whole.writeBigUInt64LE(BigInt(firstSector + 1), blockList.offset);
  whole.writeUInt16LE(coreSectors - 1, blockList.offset + 8);
  whole.writeUInt16LE(blockList.segment, blockList.offset + 10);
  return { bootCode: bootCode.subarray(0, bootImage.codeSize), core: whole };
}
