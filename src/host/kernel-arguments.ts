/** Editing kernel arguments: all changes or none, and every refusal names the argument. */
import { AtollError } from "../errors.ts";

export interface KernelArgumentChanges {
  readonly append?: readonly string[];
  readonly delete?: readonly string[];
  readonly replace?: readonly string[];
}

/**
 * `current` with deletions, then replacements, then additions made.
 * Errors: KARG_INVALID, KARG_UNKNOWN, KARG_AMBIGUOUS.
 */
export function editKernelArguments(current: readonly string[], changes: KernelArgumentChanges): string[] {
  let list = [...current];
  for (const argument of changes.delete ?? []) list = withoutArgument(list, checked(argument));
  for (const argument of changes.replace ?? []) list = withReplacement(list, checked(argument));
  return [...list, ...(changes.append ?? []).map(checked)];
}

/** What `after` has that `before` has not, and the other way round; a word counts as often as it is there. */
export function kernelArgumentDiff(
  before: readonly string[],
  after: readonly string[],
): { added: string[]; removed: string[] } {
  return { added: leftover(after, before), removed: leftover(before, after) };
}

function leftover(from: readonly string[], taken: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const word of taken) counts.set(word, (counts.get(word) ?? 0) + 1);
  return from.filter((word) => {
    const count = counts.get(word) ?? 0;
    if (count > 0) counts.set(word, count - 1);
    return count === 0;
  });
}

/** Keys that Atoll and libostree write themselves. */
const reservedKeys: readonly string[] = ["ostree", "atoll.id", "atoll.boot", "atoll.failed"];

function checked(argument: string): string {
  const problem = problemOf(argument);
  if (problem !== null) throw new AtollError("KARG_INVALID", { argument, problem });
  return argument;
}

function problemOf(argument: string): string | null {
  if (argument === "") return "it is empty";
  if (/\s/.test(argument)) return "it holds a space";
  // GRUB reads these in its own configuration language, where they would mean something else.
  if (/[^\x21-\x7e]|["'\\$;{}|&<>`#]/.test(argument))
    return "it holds a character that the boot loader would misread";
  if (keyOf(argument) === "") return "it has no key";
  if (reservedKeys.includes(keyOf(argument))) return "that key is set by the system itself";
  return null;
}

function keyOf(argument: string): string {
  const equals = argument.indexOf("=");
  return equals < 0 ? argument : argument.slice(0, equals);
}

/** The one place in `list` that `argument` (KEY, or KEY=VALUE) means. */
function placeOf(list: readonly string[], argument: string): number {
  const exact = list.indexOf(argument);
  // Of the same word written twice, either may go; a bare key that is there as a bare word is that word.
  if (exact >= 0) return exact;
  const matches = argument.includes("=") ? [] : list.filter((word) => keyOf(word) === argument);
  const [only] = matches;
  if (only === undefined) throw new AtollError("KARG_UNKNOWN", { argument });
  if (matches.length > 1) throw new AtollError("KARG_AMBIGUOUS", { argument, matches: matches.join(" ") });
  return list.indexOf(only);
}

function withoutArgument(list: readonly string[], argument: string): string[] {
  return list.toSpliced(placeOf(list, argument), 1);
}

/** KEY=NEW where the key is there once, KEY=OLD=NEW where the old value picks one. */
function withReplacement(list: readonly string[], argument: string): string[] {
  const key = keyOf(argument);
  for (const [place, word] of list.entries()) {
    if (word !== key && argument.startsWith(`${word}=`)) {
      return list.toSpliced(place, 1, `${key}=${argument.slice(word.length + 1)}`);
    }
  }
  return list.toSpliced(placeOf(list, key), 1, argument);
}
