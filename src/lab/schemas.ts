import Type from "typebox";
import Value from "typebox/value";
import { AtollError } from "../errors.ts";
import { leastMemoryMiB } from "./limits.ts";

/**
 * What the lab keeps as JSON. A file of its own, loaded when a record is read: most commands read none, and the
 * library takes as long to load as all the rest of the command.
 */

const processIdentity = { pid: Type.Integer(), startTicks: Type.Integer(), bootId: Type.String() };

/** What the lab knows of one machine. Whether it runs is not written down but looked up. */
export const machineRecord = Type.Object({
  name: Type.String(),
  /** ISO 8601. */
  createdAt: Type.String(),
  /** A UUID, told to the machine by its firmware. */
  id: Type.String(),
  macAddress: Type.String(),
  firmware: Type.Union([Type.Literal("uefi"), Type.Literal("secureboot"), Type.Literal("bios")]),
  cpus: Type.Integer({ minimum: 1 }),
  memoryMiB: Type.Integer({ minimum: leastMemoryMiB }),
  diskFormat: Type.Union([Type.Literal("raw"), Type.Literal("qcow2")]),
  /** What is on the disk, in a person's words: a version. */
  image: Type.String(),
  /** Port of 127.0.0.1 that leads to the machine's SSH. */
  sshPort: Type.Integer(),
  /** Other ports that lead into it. */
  forwards: Type.Array(Type.Object({ host: Type.Integer(), guest: Type.Integer() })),
  /** False until its first boot is known to have taken the credentials; they are given to it until then. */
  provisioned: Type.Boolean(),
  /** The QEMU that was started last. */
  process: Type.Union([
    Type.Null(),
    Type.Object({
      ...processIdentity,
      accelerator: Type.Union([Type.Literal("kvm"), Type.Literal("tcg")]),
      startedAt: Type.String(),
    }),
  ]),
});

export type MachineRecord = Type.Static<typeof machineRecord>;

/**
 * What serves the lab's machines. Its ports never change once chosen: machines remember where they get their updates.
 */
export const originRecord = Type.Object({
  httpPort: Type.Integer(),
  registryPort: Type.Integer(),
  process: Type.Union([Type.Null(), Type.Object(processIdentity)]),
});

export type OriginRecord = Type.Static<typeof originRecord>;

/** `text`, the content of `file`, as what `schema` describes. Errors: LAB_RECORD_INVALID with what is wrong first. */
export function parseAs<S extends Type.TSchema>(schema: S, text: string, file: string): Type.Static<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AtollError("LAB_RECORD_INVALID", { file, problem: String(error) }, error);
  }
  if (Value.Check(schema, value)) return value;
  const [first] = Value.Errors(schema, value);
  const problem = first ? `${first.instancePath || "/"} ${first.message}` : "it is something else";
  throw new AtollError("LAB_RECORD_INVALID", { file, problem });
}
