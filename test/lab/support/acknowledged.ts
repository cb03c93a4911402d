import { expect } from "vitest";
import type { Lab } from "../lab.mjs";

type LabHost = ReturnType<Lab["host"]>;

const CHUNK = 65_536;
const WRITER = "/run/acknowledged.pl";
const NOTED = "/run/acknowledged";

/**
 * Writes to a device of a client, each past the client's cache, never flushed, and to a chunk of a thin pool that was not
 * there before; what was acknowledged is noted. That is what a storage host can lose most easily.
 */
export class Acknowledged {
    private constructor(
        private readonly client: LabHost,
        private readonly device: string,
    ) {}

    /** @param device of at least 450 MiB: no more than 7,000 chunks are written, a hundred a second at most */
    static async start(client: LabHost, device: string): Promise<Acknowledged> {
        await client.run(`cat > ${WRITER} <<'BH_WRITER'
use strict; use Fcntl; use IO::Handle;
my ($path, $noted) = @ARGV;
sysopen(my $device, $path, O_RDWR | O_DIRECT) or die "$path: $!";
open(my $note, ">", $noted) or die; $note->autoflush(1);
my $buffer = "A" x 8192;
my $aligned = (4096 - unpack("J", pack("p", $buffer)) % 4096) % 4096;
for my $chunk (0 .. 6999) {
    last if -e "$noted.stop";
    sysseek($device, $chunk * ${String(CHUNK)}, 0);
    (syswrite($device, $buffer, 4096, $aligned) // 0) == 4096 or do { print $note "failed: $!\\n"; exit 1 };
    print $note "$chunk\\n";
    select(undef, undef, undef, 0.01);
}
BH_WRITER
rm -f ${NOTED} ${NOTED}.stop
systemctl reset-failed bh-acknowledged 2>/dev/null
systemd-run -q --unit=bh-acknowledged perl -MFcntl=O_DIRECT ${WRITER} ${device} ${NOTED}
sleep 3`);
        return new Acknowledged(client, device);
    }

    /** Ends it; it must have gone on after the host's return. Chunks that were acknowledged and are not there. */
    async lost(): Promise<number[]> {
        const before = await this.acknowledged();
        let after = before;
        // Initiators wait up to twenty seconds between two tries, and hear of no target until tgtd has it again.
        for (let tries = 0; after.length === before.length && tries < 20; tries++) {
            await this.client.run("sleep 5");
            after = await this.acknowledged();
        }
        const log = "journalctl -b --no-pager -o short-precise -n 40";
        const said = after.length > before.length ? "" : (await this.client.run(log)).stdout;
        expect(after.length, `writes go on; the client's log:\n${said}`).toBeGreaterThan(before.length);
        await this.client.run(
            `touch ${NOTED}.stop; while systemctl -q is-active bh-acknowledged; do sleep 0.2; done`,
        );
        const { stdout } = await this.client.run(
            `while read -r chunk; do
    [ "$(dd if=${this.device} bs=4096 count=1 skip=$((chunk * ${String(CHUNK / 4096)})) iflag=direct status=none | tr -cd A | wc -c)" = 4096 ] || echo "$chunk"
done < ${NOTED}`,
            { timeoutMs: 600_000 },
        );
        return stdout.split("\n").filter(Boolean).map(Number);
    }

    private async acknowledged(): Promise<string[]> {
        const { stdout } = await this.client.run(`cat ${NOTED}`);
        expect(stdout).not.toContain("failed");
        return stdout.trim().split("\n");
    }
}
