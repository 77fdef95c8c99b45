import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError, isSystemError } from "../errors.ts";
import { withExclusive } from "../exclusive.ts";
import type { Toolbox } from "./toolbox.ts";

/** The key that signs trees. Machines trust its public half, which every tree carries. */
export interface SigningKey {
  /** GnuPG home folder that holds the secret half. */
  readonly home: string;
  /** Fingerprint, 40 hex digits. */
  readonly id: string;
  /** File with the public half, as OSTree reads it from trusted.gpg.d. */
  readonly publicKey: string;
}

interface SigningOptions {
  readonly toolbox: Toolbox;
  /** The repository that the key signs for. One that names a commit already had a key: no other is made for it. */
  readonly repository: string;
  readonly signal?: AbortSignal;
}

/**
 * Gives the signing key in `folder`, making one (Ed25519, without an end date, without a passphrase) when there is none.
 * Keep the folder: machines refuse trees that another key signed. Errors: SIGNING_KEY_LOST, COMMAND_FAILED, INTERRUPTED.
 */
export async function openSigningKey(folder: string, options: SigningOptions): Promise<SigningKey> {
  const home = join(folder, "gnupg");
  const publicKey = join(folder, "atoll.gpg");
  await mkdir(home, { recursive: true, mode: 0o700 });
  const step = "opening the signing key";
  return withExclusive(join(folder, "lock"), { step }, async () => {
    const known = await readIfThere(join(folder, "fingerprint"));
    if (known === null && (await hasRefs(options.repository)))
      throw new AtollError("SIGNING_KEY_LOST", { folder, repository: options.repository });
    const id = known?.trim() ?? (await makeKey(home, options));
    const gpg = (...words: string[]) => runGpg(home, words, options);
    const secret = await gpg("--list-secret-keys", "--with-colons", id).catch((error: unknown) => {
      throw new AtollError("SIGNING_KEY_LOST", { folder, repository: options.repository }, error);
    });
    if (!secret.includes(id))
      throw new AtollError("SIGNING_KEY_LOST", { folder, repository: options.repository });
    await gpg("--yes", "--output", publicKey, "--export-options", "export-minimal", "--export", id);
    await writeFile(join(folder, "fingerprint"), `${id}\n`);
    await closeAgent(home, options.toolbox);
    return { home, id, publicKey };
  });
}

async function readIfThere(path: string): Promise<string | null> {
  return readFile(path, "utf8").catch((error: unknown) => {
    if (isSystemError(error, "ENOENT")) return null;
    throw error;
  });
}

/** Whether the OSTree repository at `path` has a branch; false when there is no repository. */
async function hasRefs(path: string): Promise<boolean> {
  const entries = await readdir(join(path, "refs/heads"), { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      if (isSystemError(error, "ENOENT")) return [];
      throw error;
    },
  );
  return entries.some((entry) => entry.isFile());
}

async function makeKey(home: string, options: SigningOptions): Promise<string> {
  const parameters = ["Key-Type: eddsa", "Key-Curve: Ed25519", "Key-Usage: sign", "Name-Real: Atoll trees"];
  const recipe = [...parameters, "Expire-Date: 0", "%no-protection", "%commit", ""].join("\n");
  const made = await runGpg(home, ["--status-fd", "1", "--full-generate-key"], { ...options, input: recipe });
  const id = /KEY_CREATED \S+ ([0-9A-F]{40})/.exec(made)?.[1];
  if (id === undefined) throw new AtollError("INTERNAL", { cause: "gpg made a key but did not name it" });
  return id;
}

async function runGpg(
  home: string,
  words: readonly string[],
  { toolbox, signal, input }: SigningOptions & { input?: string },
): Promise<string> {
  const result = await toolbox.run(["gpg", "--batch", "--homedir", home, ...words], {
    step: "opening the signing key",
    ...(input !== undefined && { input }),
    ...(signal && { signal }),
  });
  return result.stdout;
}

/** gpg starts an agent and leaves it; nothing of ours may stay when a command ends. */
export async function closeAgent(home: string, toolbox: Toolbox): Promise<void> {
  await toolbox.run(["gpgconf", "--homedir", home, "--kill", "all"], { step: "closing the signing key" });
}
