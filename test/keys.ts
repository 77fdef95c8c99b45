import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Toolbox } from "../src/compose/toolbox.ts";
import type { Signer } from "./trees.ts";

/** Makes a key of which no machine has heard. */
export async function newKey(toolbox: Toolbox, name: string, home: string): Promise<Signer> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const step = "making a key";
  const gpg = ["gpg", "--batch", "--homedir", home] as const;
  const who = `${name} <${name}@example.org>`;
  await toolbox.run([...gpg, "--passphrase", "", "--quick-generate-key", who, "ed25519", "sign", "never"], {
    step,
    binds: [home],
  });
  const { stdout } = await toolbox.run([...gpg, "--with-colons", "--list-secret-keys"], {
    step,
    binds: [home],
  });
  const keyId = /^fpr:+([0-9A-F]{40}):/m.exec(stdout)?.[1];
  if (keyId === undefined) throw new Error(`no fingerprint in: ${stdout}`);
  return { home, keyId };
}

/** Ends the helper that gpg left running for a key's folder. */
export async function forgetKey(toolbox: Toolbox, signer: Signer): Promise<void> {
  await toolbox.run(["gpgconf", "--homedir", signer.home, "--kill", "all"], {
    step: "ending gpg's helper",
    binds: [signer.home],
  });
}

/** The keys that a tree brings to its host when `old` is no longer to be trusted and `fresh` takes its place. */
export async function rotatedKeyring(
  toolbox: Toolbox,
  old: Signer,
  fresh: Signer,
  home: string,
): Promise<Uint8Array> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const file = join(home, "keys.gpg");
  // gpg writes a revocation beside each key that it makes, disarmed by a colon.
  const rotate = `
    gpg() { command gpg --batch --quiet "$@"; }
    gpg --homedir "$1" --export "$2" | gpg --homedir "$5" --import
    sed 's/^:---/---/' "$1/openpgp-revocs.d/$2.rev" | gpg --homedir "$5" --import
    gpg --homedir "$3" --export "$4" | gpg --homedir "$5" --import
    gpg --homedir "$5" --export > "$6"
    gpgconf --homedir "$5" --kill all`;
  await toolbox.run(["sh", "-euc", rotate, "sh", old.home, old.keyId, fresh.home, fresh.keyId, home, file], {
    step: "rotating the keys of a test tree",
    binds: [old.home, fresh.home, home],
  });
  return readFile(file);
}
