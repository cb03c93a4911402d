// @ts-check
import { closeSync, openSync, readSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "../command.mjs";
import { targetsOf } from "../embedded-host/tgtd.mjs";
import * as iscsi from "../iscsi.mjs";
import { readStats } from "../stats.mjs";

const MiB = 1024 * 1024;
/** The stack's outputs have been shown once. */
const briefly = { args: ["--suppress-outputs"] };
const initiator = "iqn.2024-01.com.example:db1";

/**
 * What the quickstart shows, step by step, each with its proof.
 *
 * @param {object} scene
 * @param {ReturnType<typeof import("../narrative.mjs").createNarrative>} scene.narrative
 * @param {import("../embedded-host/process.mjs").EmbeddedHostProcess} scene.host
 * @param {import("../pulumi/stack.mjs").Stack} scene.stack
 * @param {string} scene.statsFile
 * @param {boolean} scene.keep
 */
export async function tellStory({ narrative, host, stack, statsFile, keep }) {
    const { heading, note, check } = narrative;

    heading("pulumi up: two volumes, a snapshot, a clone of it, an iSCSI export with CHAP");
    const created = await stack.up();
    check("5 resources created (and the stack itself)", created.changes["create"] === 6, created.changes);
    const outputs = await stack.outputs();
    const lun = iscsi.lunOf(outputs["connection"], initiator);

    heading("Data through the export, by an initiator that knows nothing of blockhost (libiscsi, qemu-io)");
    note(`logging in to ${lun.iqn} at ${lun.portal} as ${initiator}`);
    const written = Buffer.from("written through iSCSI ".repeat(2048)).subarray(0, 32_768);
    await iscsi.write(lun, { offset: 8 * MiB, bytes: written });
    const back = await iscsi.read(lun, { offset: 8 * MiB, length: written.length });
    check("32 KiB written and read back", back.equals(written));
    check(`the same bytes are in ${outputs["dataPath"]}`, inFile(outputs["dataPath"], 8 * MiB, written));
    check(
        "the clone, made from the snapshot taken before, has none of them",
        isZero(outputs["clonePath"], 8 * MiB),
    );

    heading("Without the right password");
    const { username } = lun.chap ?? { username: "" };
    const refused = await iscsi.login({ ...lun, chap: { username, password: "not-the-secret" } });
    check(`refused: ${"reason" in refused ? refused.reason : ""}`, !refused.ok, refused);
    const stranger = await iscsi.login({ ...lun, initiator: "iqn.2024-01.com.example:somebody-else" });
    check(
        `another initiator with the right one: ${"reason" in stranger ? stranger.reason : ""}`,
        !stranger.ok,
        stranger,
    );

    heading("pulumi up again");
    const again = await stack.up(briefly);
    check("nothing changes", onlySame(again.changes), again.changes);

    heading("A bigger volume: dataSize 64MiB → 96MiB, pulumi up");
    const before = await iscsi.capacity(lun);
    await stack.setConfig("dataSize", "96MiB");
    const extended = await stack.up(briefly);
    check("one resource updated in place", extended.changes["update"] === 1, extended.changes);
    const after = await iscsi.capacity(lun);
    check(
        `the initiator saw ${before / MiB} MiB and sees ${after / MiB} MiB`,
        before === 64 * MiB && after === 96 * MiB,
        {
            before,
            after,
        },
    );
    const still = await iscsi.read(lun, { offset: 8 * MiB, length: written.length });
    check("with the data as it was", still.equals(written));

    heading("A change behind Pulumi's back: somebody lets everybody in without a password");
    await openToEverybody(host, lun);
    const open = {
        portal: lun.portal,
        iqn: lun.iqn,
        lun: lun.lun,
        initiator: "iqn.2024-01.com.example:anybody",
    };
    check("anybody can log in", (await iscsi.login(open)).ok);
    const refreshed = await stack.refresh(briefly);
    check("pulumi refresh finds it", refreshed.changes["update"] === 1, refreshed.changes);
    const healed = await stack.up(briefly);
    check("pulumi up heals the export", healed.changes["update"] === 1, healed.changes);
    const closed = await iscsi.login(open);
    check(`nobody can log in like that any more: ${"reason" in closed ? closed.reason : ""}`, !closed.ok);

    heading("A volume made smaller: dataSize 96MiB → 32MiB, pulumi preview");
    await stack.setConfig("dataSize", "32MiB");
    const shrink = await stack.preview({ tolerate: true, quiet: true });
    // Pulumi heads what a provider says with the package's name, on a line of its own.
    for (const message of shrink.diagnostics) {
        const said = message.replace(/^\S+:(\n|$)/, "");
        if (said !== "") note(said);
    }
    check(
        "refused in preview, before anything is touched",
        shrink.status !== 0 && /shr[iu]nk/i.test(shrink.output),
        shrink,
    );
    await stack.setConfig("dataSize", "96MiB");

    if (!keep) {
        heading("pulumi destroy");
        await stack.destroy();
        const left = dataFiles(host.poolDirectories["fast"] ?? "");
        check("no volume is left in the pool", left.length === 0, left);
        const targets = await targetsOf(host.tgt?.controlPort ?? 0);
        check("no target is left", targets.length === 0, targets);
    }

    heading("What this took");
    const { connections } = await host.do("counters");
    const stats = readStats(statsFile);
    note(
        `${narrative.checked.length} claims checked\n` +
            `${stats.operations} operations in ${stats.remoteRuns} remote runs; those beside one for each operation only looked at the host\n` +
            `${stats.processes} provider processes with ${stats.connections} connections in all (the host counted ${connections}): one each`,
    );
}

/** @param {Record<string, number>} changes */
function onlySame(changes) {
    return Object.entries(changes).every(([change, count]) => change === "same" || count === 0);
}

/** @param {string} path @param {number} offset @param {Buffer} bytes */
function inFile(path, offset, bytes) {
    return readAt(path, offset, bytes.length).equals(bytes);
}

/** @param {string} path @param {number} offset */
function isZero(path, offset) {
    return readAt(path, offset, 32_768).every((byte) => byte === 0);
}

/** @param {string} path @param {number} offset @param {number} length */
function readAt(path, offset, length) {
    const file = openSync(path, "r");
    try {
        const buffer = Buffer.alloc(length);
        readSync(file, buffer, 0, length, offset);
        return buffer;
    } finally {
        closeSync(file);
    }
}

/** Everything in a pool but what makes it one. @param {string} directory */
function dataFiles(directory) {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
        .map((entry) => join(entry.parentPath, entry.name));
}

/**
 * What a careless administrator might do with tgtadm.
 *
 * @param {import("../embedded-host/process.mjs").EmbeddedHostProcess} host
 * @param {iscsi.Lun} lun
 */
async function openToEverybody(host, lun) {
    /** @param {string[]} args */
    const tgtadm = (...args) =>
        run("tgtadm", ["-C", String(host.tgt?.controlPort), "--lld", "iscsi", ...args]);
    const { stdout } = await tgtadm("--mode", "target", "--op", "show");
    const tid = new RegExp(`^Target (\\d+): ${lun.iqn.replaceAll(".", "\\.")}$`, "m").exec(stdout)?.[1] ?? "";
    const username = lun.chap?.username ?? "";
    await tgtadm("--mode", "account", "--op", "unbind", "--tid", tid, "--user", username);
    await tgtadm("--mode", "target", "--op", "bind", "--tid", tid, "--initiator-address", "ALL");
}
