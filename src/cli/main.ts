import { runCli } from "./cli.ts";
import { wholeProgram } from "./program.ts";

// The `atoll` command on a person's own computer: all there is.
await runCli(process.argv.slice(2), wholeProgram);
