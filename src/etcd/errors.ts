import { define, exitCodes } from "../error-definition.ts";

/** What etcd may refuse, or fail at. The registry is src/errors.ts. */
export const etcdErrors = define({
  ETCD_UNREACHABLE: {
    status: 503,
    exit: exitCodes.unreachable,
    text: "etcd does not answer {method}: {cause}",
    next: "see whether etcd runs, and whether its endpoints and the certificates for it are right; nothing was changed",
  },
  ETCD_UNCERTAIN: {
    status: 504,
    exit: exitCodes.unreachable,
    text: "etcd took {method} and did not say what came of it: {cause}",
    next: "it may have been done or not: look before doing it again",
  },
  ETCD_REFUSED: {
    status: 409,
    exit: exitCodes.refused,
    text: "etcd refused {method}: {cause}",
    next: "nothing was changed; correct what it names",
  },
  ETCD_COMPACTED: {
    status: 410,
    exit: exitCodes.failed,
    text: "etcd has dropped the history that {method} asks for: {cause}",
    next: "read the present state, and go on from its revision",
  },
  ETCD_TXN_TOO_LARGE: {
    status: 413,
    exit: exitCodes.refused,
    text: "a transaction of {operations} operations and {bytes} bytes is more than etcd takes at once ({limit} operations, {byteLimit} bytes)",
    next: "nothing was changed; write less at once, or in several transactions",
  },
  ETCD_LEASE_LOST: {
    status: 409,
    exit: exitCodes.failed,
    text: "the lease {lease} is lost: {cause}",
    next: "what hung on it may belong to another by now; begin again with a new lease",
  },
  ETCD_SNAPSHOT_BROKEN: {
    status: 502,
    exit: exitCodes.failed,
    text: "the snapshot that etcd sent is not whole: {problem}",
    next: "throw it away and take another",
  },
  ETCD_ENDPOINT_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "{endpoint} is not an endpoint of etcd: {problem}",
    next: "write https://HOST:PORT, or http://HOST:PORT or unix:///PATH where no certificates are used",
  },
});
