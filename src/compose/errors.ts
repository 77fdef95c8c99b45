import { define, exitCodes } from "../error-definition.ts";

/** What making trees and images may refuse, or fail at. The registry is src/errors.ts. */
export const composeErrors = define({
  INITRAMFS_PART_MISSING: {
    status: 500,
    exit: exitCodes.failed,
    text: "the initramfs needs {path}, which is not in the tree {root}",
    next: "add the package that brings it to the treefile (busybox, ostree-boot and a kernel are needed)",
  },
  INITRAMFS_MODULE_MISSING: {
    status: 400,
    exit: exitCodes.refused,
    text: "the kernel {kernel} has no module {names}, which the treefile wants in the initramfs",
    next: "correct `initramfs: modules` in the treefile, or choose another kernel package",
  },
  IMAGE_TOO_SMALL: {
    status: 400,
    exit: exitCodes.refused,
    text: "a disk of {size} MiB is too small for this tree: at least {needed} MiB are needed",
    next: "ask for a larger disk; unused space costs nothing in the image file",
  },
  IMAGE_TREE_UNFIT: {
    status: 400,
    exit: exitCodes.refused,
    text: "no bootable disk can be made of {commit}: {problem}",
    next: "compose the tree with a treefile that includes os/atoll.yaml, which brings the boot chain",
  },
  TOOLBOX_NO_NAMESPACE: {
    status: 500,
    exit: exitCodes.failed,
    text: "this account cannot make user namespaces with subordinate ids: {cause}",
    next: "install the package uidmap, give the account ids in /etc/subuid and /etc/subgid (`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME`), or run the same command as root",
  },
  TREEFILE_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{problems}",
    next: "correct the treefile; docs/reference/treefile.md lists its keys",
  },
  TREEFILE_MISSING: {
    status: 400,
    exit: exitCodes.usage,
    text: "there is no treefile {file} that can be read",
    next: "name a treefile: os/atoll.yaml is ours, examples/ has some that include it",
  },
  LOCK_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{file} is not a lock file that this Atoll can read: {problem}",
    next: "restore it from version control, or make it anew with `atoll compose --update-lock`",
  },
  PACKAGES_UNRESOLVED: {
    status: 409,
    exit: exitCodes.refused,
    text: "the packages of {file} cannot be installed together: {cause}",
    next: "correct `packages` and `exclude-packages`; nothing was changed",
  },
  PACKAGES_GONE: {
    status: 502,
    exit: exitCodes.failed,
    text: "Debian no longer has these locked packages:\n{packages}",
    next: "`atoll compose --update-lock` takes the versions that Debian has by now",
  },
  PACKAGES_UNFETCHED: {
    status: 502,
    exit: exitCodes.failed,
    text: "these packages could not be fetched:\n{packages}",
    next: "check the network and its proxy (`http_proxy`), and run the same command again: what came is kept",
  },
  IDS_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{file}:{line}: {problem}",
    next: "correct that line; it is in the format of /etc/passwd or /etc/group",
  },
  IDS_CONFLICT: {
    status: 409,
    exit: exitCodes.refused,
    text: "the id {id} is pinned for both {first} and {second}",
    next: "give one of them another id where it is pinned: in the treefile's `users` files or in its lock",
  },
  IDS_UNPINNED: {
    status: 409,
    exit: exitCodes.refused,
    text: "packages of this tree make users or groups whose ids nothing pins: {entries}",
    next: "run `atoll compose --update-lock`: the lock then pins them, and they never move again",
  },
  IDS_MOVED: {
    status: 409,
    exit: exitCodes.refused,
    text: "packages of this tree give pinned users or groups other ids: {entries}",
    next: "leave that package out, or report it: files on machines would change hands",
  },
  FILE_MISPLACED: {
    status: 400,
    exit: exitCodes.usage,
    text: "{file} cannot be laid over the tree: {problem}",
    next: "a tree holds /usr and /etc; for the rest use tmpfiles.d, a unit, or provisioning",
  },
  KERNEL_NOT_ONE: {
    status: 400,
    exit: exitCodes.usage,
    text: "a tree has exactly one kernel; the packages bring: {kernels}",
    next: "name one kernel in the treefile's `kernel.package` and none in `packages`",
  },
  VERSION_NOT_NEWER: {
    status: 409,
    exit: exitCodes.refused,
    text: "version {version} is not newer than {newest}, which the repository has already",
    next: "give a newer one, or none: the composer then counts on by itself",
  },
  SIGNING_KEY_LOST: {
    status: 500,
    exit: exitCodes.failed,
    text: "the key that signed the trees of {repository} is not in {folder}",
    next: "restore the folder from a backup; to start anew with another key remove it, and install machines afresh",
  },
  RELEASE_UNKNOWN: {
    status: 404,
    exit: exitCodes.usage,
    text: "{repository}: {problem} {name}",
    next: "name one by its version or its checksum; the newest are {known}",
  },
  RELEASE_UNDESCRIBED: {
    status: 409,
    exit: exitCodes.refused,
    text: "the commit {checksum} ({version}) does not list its packages",
    next: "compare trees that `atoll compose` made; `ostree diff` compares the files of any two",
  },
});
