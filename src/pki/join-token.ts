/**
 * Join tokens: `atoll1.ID.SECRET.AUTHORITY.CHECK`, each part in Crockford's base 32, lower case.
 * AUTHORITY is the SHA-256 of the fleet authority's certificate, by which who joins knows the fleet before it trusts
 * anything. CHECK is for people: it tells a token that was cut short or mistyped from one that is refused.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { AtollError } from "../errors.ts";
import type { MachineRole } from "./names.ts";

/** A token taken apart. */
export interface JoinToken {
  /** Eight characters; no secret. */
  readonly id: string;
  readonly secret: Buffer;
  /** Fingerprint of the authority's certificate: 64 hex digits. */
  readonly authority: string;
}

/** What the fleet keeps of a token: enough to know it again, not enough to make it. */
export interface JoinTokenRecord {
  readonly id: string;
  /** 64 hex digits. */
  readonly hash: string;
  /** What the machine becomes that joins with it. */
  readonly role: MachineRole;
  readonly expiresAt: Date;
  /** How many machines may still join with it. */
  readonly usesLeft: number;
}

const version = "atoll1";
const bytesOf = { id: 5, secret: 16, authority: 32 } as const;
const checkLength = 6;
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

const defaultLife = 3600;
const longestLife = 30 * 24 * 3600;
const mostUses = 10_000;

/**
 * A new token for machines that are to have `role`, once in text for its owner and once as the record to keep.
 * `life` in seconds (one hour), `uses` (one). Errors: JOIN_TOKEN_LIMITS.
 */
export function createJoinToken(options: {
  readonly role: MachineRole;
  /** Fingerprint of the certificate of the authority that issues now. */
  readonly authority: string;
  readonly now: Date;
  readonly life?: number;
  readonly uses?: number;
}): { readonly text: string; readonly record: JoinTokenRecord } {
  const { role, authority, now, life = defaultLife, uses = 1 } = options;
  if (!Number.isSafeInteger(life) || life < 1 || life > longestLife) {
    const rule = `1 to ${longestLife} whole seconds`;
    throw new AtollError("JOIN_TOKEN_LIMITS", { limit: "a life in seconds of", value: life, rule });
  }
  if (!Number.isSafeInteger(uses) || uses < 1 || uses > mostUses) {
    const rule = `a whole number from 1 to ${mostUses}`;
    throw new AtollError("JOIN_TOKEN_LIMITS", { limit: "a number of uses of", value: uses, rule });
  }
  const id = toBase32(randomBytes(bytesOf.id));
  const token = { id, secret: randomBytes(bytesOf.secret), authority };
  const expiresAt = new Date(now.getTime() + life * 1000);
  return {
    text: formatJoinToken(token),
    record: { id, hash: hashOf(token).toString("hex"), role, expiresAt, usesLeft: uses },
  };
}

export function formatJoinToken({ id, secret, authority }: JoinToken): string {
  const body = [version, id, toBase32(secret), toBase32(Buffer.from(authority, "hex"))].join(".");
  return `${body}.${checkOf(body)}`;
}

/**
 * Reads a token as people hand it on: with line breaks from a mail, in capitals, O for 0, I or L for 1.
 * Errors: JOIN_TOKEN_MANGLED, which says what is wrong and repeats nothing of the secret.
 */
export function parseJoinToken(text: string): JoinToken {
  const parts = text.replace(/\s+/g, "").toLowerCase().split(".");
  const [first = "", ...rest] = parts;
  if (first !== version) {
    const newer = /^atoll\d+$/.test(first);
    throw mangled(
      newer ? `it is of the form ${first}, which this version does not know` : "it does not begin so",
    );
  }
  const [id = "", secret = "", authority = "", check = "", ...more] = rest.map(withoutLookalikes);
  if (more.length > 0) throw mangled("something stands behind its end");
  if (check.length < checkLength) throw mangled("its end is missing");
  if (checkOf([version, id, secret, authority].join(".")) !== check) {
    throw mangled("some of its characters were changed, lost or added");
  }
  // The check says that it is as it was made; this, that it was made by us.
  const secretBytes = fromBase32(secret, bytesOf.secret);
  const authorityBytes = fromBase32(authority, bytesOf.authority);
  if (fromBase32(id, bytesOf.id) === null || secretBytes === null || authorityBytes === null) {
    throw mangled("its parts do not have the length that they must have");
  }
  return { id, secret: secretBytes, authority: authorityBytes.toString("hex") };
}

/**
 * The record after one more machine has joined with `token`. It is for the registry to store it in the place of the
 * `record` that it read, by compare-and-swap: so that no use counts twice, and none is missed.
 * A stranger learns nothing of a token that it does not have: unknown, and known with another secret, look the same.
 * Errors: JOIN_TOKEN_UNKNOWN, JOIN_TOKEN_EXPIRED, JOIN_TOKEN_USED_UP.
 */
export function useJoinToken(record: JoinTokenRecord | null, token: JoinToken, now: Date): JoinTokenRecord {
  const { id } = token;
  const expected = Buffer.from(record?.hash ?? "00".repeat(32), "hex");
  const shown = hashOf(token);
  // Compared in any case, and always to the end: the time it takes tells nothing.
  const matches = expected.length === shown.length && timingSafeEqual(expected, shown);
  if (record === null || !matches || record.id !== id) throw new AtollError("JOIN_TOKEN_UNKNOWN", { id });
  if (now >= record.expiresAt) {
    throw new AtollError("JOIN_TOKEN_EXPIRED", { id, at: record.expiresAt.toISOString() });
  }
  if (record.usesLeft < 1) throw new AtollError("JOIN_TOKEN_USED_UP", { id });
  return { ...record, usesLeft: record.usesLeft - 1 };
}

/**
 * A plain hash will do: the secret is 128 random bits, so there is nothing to guess that a slow one would make dear,
 * and every stranger could make the server pay for it. The id goes in, so that no record serves for another token.
 */
function hashOf({ id, secret }: JoinToken): Buffer {
  return createHash("sha256").update(`atoll join token ${id} `).update(secret).digest();
}

function checkOf(body: string): string {
  return toBase32(createHash("sha256").update(body).digest()).slice(0, checkLength);
}

function mangled(problem: string): AtollError {
  return new AtollError("JOIN_TOKEN_MANGLED", { problem });
}

function withoutLookalikes(part: string): string {
  return part.replaceAll("o", "0").replace(/[il]/g, "1");
}

function toBase32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => alphabet.charAt(Number.parseInt(group.padEnd(5, "0"), 2))).join("");
}

/** The `length` bytes that `text` stands for; null when it stands for no such. */
function fromBase32(text: string, length: number): Buffer | null {
  const values = Array.from(text, (character) => alphabet.indexOf(character));
  if (values.includes(-1)) return null;
  const bits = values.map((value) => value.toString(2).padStart(5, "0")).join("");
  const bytes = (bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2));
  const decoded = Buffer.from(bytes);
  return decoded.length === length && toBase32(decoded) === text ? decoded : null;
}
