/** Debian package versions, in the order that dpkg gives them (Debian Policy 5.6.12, deb-version(7)). */

/** Below zero when `a` is older than `b`, above when newer, 0 when dpkg holds them equal. */
export function compareDebianVersions(a: string, b: string): number {
  const left = split(a);
  const right = split(b);
  return (
    compareNumbers(left.epoch, right.epoch) ||
    compareParts(left.upstream, right.upstream) ||
    compareParts(left.revision, right.revision)
  );
}

function split(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const epoch = colon < 0 ? "0" : version.slice(0, colon);
  const rest = version.slice(colon + 1);
  const hyphen = rest.lastIndexOf("-");
  if (hyphen < 0) return { epoch, upstream: rest, revision: "0" };
  return { epoch, upstream: rest.slice(0, hyphen), revision: rest.slice(hyphen + 1) };
}

/** Compares by turns the longest run without digits and the longest run of digits. */
function compareParts(a: string, b: string): number {
  let left = a;
  let right = b;
  while (left !== "" || right !== "") {
    const leftText = takeText(left);
    const rightText = takeText(right);
    const byText = compareText(leftText, rightText);
    if (byText !== 0) return byText;
    left = left.slice(leftText.length);
    right = right.slice(rightText.length);
    const leftDigits = takeDigits(left);
    const rightDigits = takeDigits(right);
    const byNumber = compareNumbers(leftDigits, rightDigits);
    if (byNumber !== 0) return byNumber;
    left = left.slice(leftDigits.length);
    right = right.slice(rightDigits.length);
  }
  return 0;
}

function takeText(text: string): string {
  return /^\D*/.exec(text)?.[0] ?? "";
}

function takeDigits(text: string): string {
  return /^\d*/.exec(text)?.[0] ?? "";
}

/** Digits as numbers of any length; none at all is zero. */
function compareNumbers(a: string, b: string): number {
  const left = a.replace(/^0+/, "");
  const right = b.replace(/^0+/, "");
  if (left.length !== right.length) return left.length - right.length;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function compareText(a: string, b: string): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = weight(a[index]) - weight(b[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `~` comes before the end, the end before letters, letters before everything else. */
function weight(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === "~") return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}
