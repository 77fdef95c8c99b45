import Type from "typebox";

/** Debian policy 5.6.1, with `:arch` left out: a tree has one architecture. */
const packageName = Type.String({
  pattern: "^[a-z0-9][a-z0-9+.-]+$",
  description: "name of a Debian package",
});
const unitName = Type.String({
  pattern: "^[A-Za-z0-9:_.@\\\\-]+\\.(service|socket|timer|path|target|mount|automount|swap|slice|scope)$",
  description: "systemd unit with its suffix, such as ssh.service",
});
const absolutePath = { pattern: "^/(?!.*(^|/)\\.\\.(/|$))" };
const list = <T extends Type.TSchema>(items: T, description: string) =>
  Type.Optional(Type.Array(items, { description }));
const closed = { additionalProperties: false };

/** What one treefile may say. Every key may be left out; `mergeTreefiles` says how files that include others add up. */
export const TreefileSchema = Type.Object(
  {
    include: list(
      Type.String({ minLength: 1 }),
      "Treefiles read before this one, in order; relative to this file. What this file says comes on top.",
    ),
    stream: Type.Optional(
      Type.String({
        pattern: "^[a-z0-9][a-z0-9-]*$",
        description: "Line of trees that this one continues: the ref is atoll/x86_64/STREAM.",
      }),
    ),
    version: Type.Optional(
      Type.String({
        pattern: "^[0-9][A-Za-z0-9.~+-]*$",
        description:
          "Version of the tree. Left out: YYYYMMDD.N, the day of the lock and a number that counts up.",
      }),
    ),
    suite: Type.Optional(
      Type.String({
        pattern: "^[a-z][a-z0-9-]*$",
        description: "Debian suite; SUITE-updates and SUITE-security go with it.",
      }),
    ),
    components: list(Type.String({ pattern: "^[a-z][a-z0-9/-]*$" }), "Archive components, such as main."),
    mirrors: list(
      Type.String({ pattern: "^https?://" }),
      "Mirrors of the Debian archive: the first is asked for new versions, the others when it lacks a locked one.",
    ),
    "security-mirrors": list(Type.String({ pattern: "^https?://" }), "The same for the security archive."),
    packages: list(
      packageName,
      "Packages to install; what they depend on comes along, what they recommend does not.",
    ),
    "exclude-packages": list(packageName, "Packages that must not be in the tree, whoever depends on them."),
    files: list(
      Type.Object(
        {
          from: Type.String({ minLength: 1, description: "File or folder; relative to this treefile." }),
          to: Type.String({ ...absolutePath, description: "Where it goes in the tree." }),
          mode: Type.Optional(
            Type.String({
              pattern: "^0?[0-7]{3,4}$",
              description:
                "Mode of the file, in quotes. Left out: 0755 when it is executable, 0644 when not.",
            }),
          ),
          strip: Type.Optional(
            Type.Boolean({ description: "Leave symbols and debugging information out of the program." }),
          ),
        },
        closed,
      ),
      "Files laid over the packages, in order; all belong to root.",
    ),
    units: Type.Optional(
      Type.Object(
        {
          enable: list(unitName, "Units that start at boot."),
          disable: list(unitName, "Units that do not, though their package says so."),
          mask: list(unitName, "Units that nothing can start."),
        },
        closed,
      ),
    ),
    "default-target": Type.Optional(unitName),
    kernel: Type.Optional(
      Type.Object(
        {
          package: Type.Optional(packageName),
          arguments: list(
            Type.String({ pattern: "^\\S+$" }),
            "Kernel arguments of a machine installed from this tree; updates leave a machine's own alone.",
          ),
        },
        closed,
      ),
    ),
    initramfs: Type.Optional(
      Type.Object(
        {
          modules: list(
            Type.String({ pattern: "^[A-Za-z0-9_-]+$" }),
            "Kernel modules it holds, beside those they need.",
          ),
        },
        closed,
      ),
    ),
    remove: list(
      Type.String(absolutePath),
      "Paths of packages left out of the tree. * and ? stay inside one name, ** goes across folders; a folder goes with all it holds. Files named under `files` come after and are never removed.",
    ),
    users: Type.Optional(
      Type.Object(
        {
          passwd: Type.String({
            description: "passwd(5) file with the ids that are pinned; relative to this treefile.",
          }),
          group: Type.String({ description: "group(5) file with the ids that are pinned." }),
        },
        closed,
      ),
    ),
    "os-release": Type.Optional(
      Type.Record(Type.String({ pattern: "^[A-Z][A-Z0-9_]*$" }), Type.String(), {
        ...closed,
        description: "Fields of /usr/lib/os-release; `{version}` in a value becomes the tree's version.",
      }),
    ),
  },
  { ...closed, title: "Atoll treefile" },
);

export type TreefileDocument = Type.Static<typeof TreefileSchema>;

/** docs/reference/treefile.schema.json: for editors that check YAML while one writes. */
export function treefileJsonSchema(): string {
  const dialect = { $schema: "https://json-schema.org/draft/2020-12/schema" };
  return `${JSON.stringify({ ...dialect, ...TreefileSchema }, null, 2)}\n`;
}
