import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCpu, parseCpuQuota, parseMemory, parsePodmanMemory } from "./quantities.ts";

function table<T>(parse: (text: string) => T, rows: readonly (readonly [string, T])[]): void {
  for (const [text, expected] of rows) assert.equal(parse(text), expected, JSON.stringify(text));
}

test("CPU: cores or thousandths", () => {
  table(parseCpu, [
    ["500m", 500],
    ["0.5", 500],
    ["2", 2000],
    ["1.25", 1250],
    ["0.0004", null],
    ["0", null],
    ["0m", null],
    ["-1", null],
    ["50%", null],
    ["1.5m", null],
    ["", null],
    ["1e3", null],
  ]);
});

test("CPUQuota=: percent of one core", () => {
  table(parseCpuQuota, [
    ["20%", 200],
    ["150%", 1500],
    ["12.5%", 125],
    ["0%", null],
    ["20", null],
    ["", null],
  ]);
});

test("memory as systemd has it", () => {
  table(parseMemory, [
    ["1024", 1024],
    ["256M", 256 * 2 ** 20],
    ["1.5G", 1.5 * 2 ** 30],
    ["1G 512M", 1.5 * 2 ** 30],
    ["1G512M", 1.5 * 2 ** 30],
    ["64K", 65536],
    ["10B", 10],
    ["1T", 2 ** 40],
    ["512M 1G", null],
    ["1M 1M", null],
    ["256Mi", null],
    ["256m", null],
    ["50%", null],
    ["infinity", null],
    ["0", null],
    ["9E", null],
    ["-1", null],
    ["", null],
    ["1".repeat(100_000), null],
  ]);
});

test("memory as Podman has it", () => {
  table(parsePodmanMemory, [
    ["512m", 512 * 2 ** 20],
    ["1g", 2 ** 30],
    ["1GB", 2 ** 30],
    ["1GiB", 2 ** 30],
    ["100", 100],
    ["100b", 100],
    ["0", null],
    ["lots", null],
    ["", null],
  ]);
});
