import { expect } from "vitest";
import type { Lab } from "../lab.mjs";

type LabHost = ReturnType<Lab["host"]>;

/** Reads and writes on many devices of a client at once, each checked against what was written. */
export class Load {
    private constructor(
        private readonly client: LabHost,
        private readonly devices: readonly string[],
    ) {}

    /**
     * @param sizeMiB of each device, what is used
     * @param durable each write is flushed before it counts: what is not is lost when a storage host goes down, and then
     *     the load finds something else than it has written (docs/exports.md)
     */
    static async start(
        client: LabHost,
        devices: readonly string[],
        { sizeMiB = 4, durable = false } = {},
    ): Promise<Load> {
        const jobs = devices.map((device, i) => `[job${String(i)}]\nfilename=${device}\n`).join("");
        await client.run(`cat > /run/load.fio <<'BH_LOAD'
[global]
ioengine=psync
direct=1
rw=randrw
bs=4k
size=${String(sizeMiB)}m
rate_iops=${durable ? "4\nsync=dsync" : "10"}
verify=crc32c
verify_backlog=8
verify_fatal=1
time_based=1
runtime=1800
${jobs}BH_LOAD
rm -f /run/load.json
systemctl reset-failed bh-load 2>/dev/null
systemd-run -q --unit=bh-load -p KillSignal=SIGINT -p TimeoutStopSec=200 -p RemainAfterExit=yes fio --output-format=json --output=/run/load.json /run/load.fio`);
        return new Load(client, devices);
    }

    /** Ends it; every device must have been read and written to the end, without an error. */
    async stop(): Promise<void> {
        await this.client.run("systemctl stop bh-load; sync /run/load.json", { timeoutMs: 250_000 });
        const { stdout } = await this.client.run("cat /run/load.json");
        const report = JSON.parse(stdout.slice(stdout.indexOf("{"))) as {
            jobs: { error: number; read: { total_ios: number }; write: { total_ios: number } }[];
        };
        expect(report.jobs).toHaveLength(this.devices.length);
        const said = report.jobs.some(({ error }) => error !== 0)
            ? (await this.client.run("journalctl -q --no-pager -o cat -u bh-load | tail -n 40")).stdout
            : "";
        for (const [i, job] of report.jobs.entries()) {
            expect(job.error, `error on ${this.devices[i] ?? "?"}: ${said}`).toBe(0);
            expect(job.write.total_ios, `writes on ${this.devices[i] ?? "?"}`).toBeGreaterThan(0);
        }
    }
}

/**
 * What changes when an initiator has lost a connection and has made another: iSCSI sessions and NVMe controllers with
 * the number of times that each has connected.
 */
export async function connections(client: LabHost): Promise<string> {
    const { stdout } = await client.run(`for s in /sys/class/iscsi_session/*; do
    [ -e "$s" ] && echo "\${s##*/} $(cat "$s/targetname" "$s/state" | tr '\\n' ' ')"
done
for c in /sys/class/nvme/nvme*; do [ -e "$c" ] && echo "\${c##*/} $(cat "$c/subsysnqn" "$c/state" "$c/cntlid" | tr '\\n' ' ')"; done
dmesg | grep -cE 'detected conn error|connection[0-9:]* error|reconnecting|starting error recovery|I/O error|Failed reconnect'
:`);
    return stdout;
}
