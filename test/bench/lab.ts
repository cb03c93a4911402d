import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { endNow, endOnSignals } from "../../tools/lifetime.mjs";
import { accelerator } from "../lab/accelerator.mjs";
import { startLab } from "../lab/lab.mjs";
import { exportRound, manyExports } from "./lab/exports";
import { type Guest, makePool } from "./lab/guest";
import { CINDER, bringCinder, cinderRound, packagesDisk } from "./lab/peers";
import { Results } from "./lab/results";
import { CHANGES, type Changes, countRuns, limit, ours } from "./lab/volumes";

/**
 * `npm run bench:lab [-- --json FILE]`: what operations cost on a storage host with a real kernel, ours over SSH from
 * outside, beside the bare limit and Cinder's driver on the same host in the same run. Ratios mean something, times do
 * not. docs/performance.md says what is measured.
 */

const PARTS = ["volumes", "exports", "many", "cinder"] as const;
type Part = (typeof PARTS)[number];

const { values } = parseArgs({
    options: {
        json: { type: "string" },
        parts: { type: "string", default: PARTS.join(",") },
        counts: { type: "string", default: "10,100" },
        changes: { type: "string", default: CHANGES.join(",") },
        many: { type: "string", default: "1000" },
        rounds: { type: "string", default: "3" },
        "cinder-counts": { type: "string", default: "10" },
    },
});
const names = (list: string) => list.split(",").filter((name) => name !== "");
const numbers = (list: string) => names(list).map(Number);
const counts = numbers(values.counts);
const rounds = Number(values.rounds);
const parts = names(values.parts) as Part[];
const changes = new Set(names(values.changes)) as Changes;

async function versionsOf(guest: Guest) {
    const { stdout } = await guest.run("uname -r; lvm version | sed -n 's/.*LVM version: *//p'");
    const [kernel, lvm] = stdout.trim().split("\n");
    return { kernel, lvm, ...(parts.includes("cinder") ? CINDER : {}) };
}

async function measure(guest: Guest, results: Results, peers: string | undefined): Promise<void> {
    await makePool(guest);
    if (parts.includes("volumes")) {
        await countRuns(guest, results);
        for (const n of counts)
            for (let round = 0; round < rounds; round++) {
                await ours(guest, results, n, changes);
                await limit(guest, results, n, changes);
            }
    }
    if (parts.includes("exports"))
        for (const n of counts)
            for (let round = 0; round < rounds; round++) await exportRound(guest, results, n);
    if (peers !== undefined) {
        await bringCinder(guest, peers);
        for (const n of numbers(values["cinder-counts"])) await cinderRound(guest, results, { n });
    }
    if (parts.includes("many"))
        for (const n of numbers(values.many)) await manyExports(guest, results, n, peers !== undefined);
}

function choose(option: string, given: readonly string[], all: readonly string[]): void {
    const wrong = given.find((name) => !all.includes(name));
    if (wrong !== undefined)
        throw new Error(`${option}: there is no ${wrong}; choose among ${all.join(",")}`);
}

async function main(): Promise<void> {
    choose("--parts", parts, PARTS);
    choose("--changes", [...changes], CHANGES);
    const say = (message: string) => console.error(message);
    const peers = parts.includes("cinder") ? await packagesDisk(say) : undefined;
    const lab = await startLab({ hosts: ["a"], say });
    try {
        const guest = lab.host("a");
        const results = new Results();
        try {
            await measure(guest, results, peers);
        } finally {
            // What was measured before something failed is not lost.
            await report(guest, results);
        }
    } finally {
        await lab.stop();
    }
}

async function report(guest: Guest, results: Results): Promise<void> {
    const machine = {
        processors: cpus().length,
        processor: cpus()[0]?.model,
        memoryGiB: Math.round(totalmem() / 2 ** 30),
        guest: accelerator() === "kvm" ? "1 processor, 768 MiB, KVM" : "1 processor, 768 MiB, emulated",
    };
    const { remoteRuns, ...measured } = results.json();
    console.log(`\nseconds for all n, medians\n\n${results.table()}\n`);
    const runs = Object.entries(remoteRuns).map(([operation, count]) => `${operation} ${String(count)}`);
    console.log(`remote runs: ${runs.join(", ")}`);
    if (values.json === undefined) return;
    const all = { machine, versions: await versionsOf(guest), rounds, ...measured, remoteRuns };
    writeFileSync(values.json, `${JSON.stringify(all, undefined, 2)}\n`);
}

endOnSignals();
void main()
    .catch((error: unknown) => {
        console.error(error);
        process.exitCode = 1;
    })
    .finally(() => endNow());
