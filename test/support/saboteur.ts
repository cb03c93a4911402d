import { BlockhostError } from "../../provider/errors";
import { createTransport } from "../../provider/transport";
import type { RunOptions, RunResult, Transport, TransportConfig } from "../../provider/transport/types";

/** Where a process of the provider is to come to a stop. Plain JSON: it also goes to a process of its own. */
export type Point =
    /**
     * Before the first step, after step k, or after what steps have left to the end of the run, counted over all runs that
     * an operation takes: n steps have n + 1 points, and one more where something was left.
     */
    | { readonly where: "between"; readonly at: number; readonly marker: string }
    /** Before the n-th command within steps, or (in perl) system call that matters; counted from 1. */
    | { readonly where: "inside"; readonly at: number; readonly marker: string; readonly shims: string }
    /** As `between`; but the script itself ends there, and the process is told nothing. */
    | { readonly where: "ends"; readonly at: number }
    /** Instead of the n-th script that has steps: tells `onScript` how long it is, and sends it. */
    | { readonly where: "transit"; readonly at: number };

/**
 * A transport that has the host come to a halt at one point of one operation, until the marker file is removed there.
 * After that (unless `live`) nothing gets through any more: the process is as dead.
 */
export class Saboteur {
    private met = 0;
    private halted = false;
    private dead = false;

    constructor(
        private readonly point: Point,
        private readonly options: { live?: boolean; onScript?: (length: number) => Promise<void> } = {},
    ) {}

    readonly transport = (config: TransportConfig): Transport => {
        const inner = createTransport(config);
        return {
            name: inner.name,
            counters: inner.counters,
            close: () => inner.close(),
            run: (script, options) => this.run(inner, script, options),
        };
    };

    /** Whether its point was among those of the operation; not known of points inside a step. */
    get reached(): boolean {
        return this.halted;
    }

    /** From now on nothing gets through. */
    die(): void {
        this.dead = true;
    }

    private async run(inner: Transport, script: string, options?: RunOptions): Promise<RunResult> {
        const dead = this.dead || (this.halted && this.options.live !== true);
        if (dead) throw new BlockhostError("unreachable", "this process is as dead");
        if (this.halted) return inner.run(script, options);
        if (!/^bh_mark begin step:/m.test(script)) return inner.run(script, options);
        const changed = await this.sabotaged(script);
        return inner.run(changed, options);
    }

    private async sabotaged(script: string): Promise<string> {
        const { point } = this;
        if (point.where === "inside") return withShims(script, point);
        if (point.where === "transit") {
            if (this.met++ !== point.at) return script;
            this.halted = true;
            await this.options.onScript?.(Buffer.byteLength(script));
            return script;
        }
        const ends = [...script.matchAll(/^bh_mark end (?:step:0\.\d+ \$bh_s|settle:.*)\n/gm)];
        const begin = /^bh_mark begin step:0\.0\n/m.exec(script);
        const places = [begin?.index ?? 0, ...ends.map((end) => end.index + end[0].length)];
        const place = places[point.at - this.met];
        this.met += places.length;
        if (place === undefined) return script;
        this.halted = true;
        const text = point.where === "ends" ? "exit 1\n" : haltAt(point.marker);
        return script.slice(0, place) + text + script.slice(place);
    }
}

function haltAt(marker: string): string {
    return `: > '${marker}'\nwhile [ -e '${marker}' ]; do sleep 0.02; done\n`;
}

/** Commands of steps, and of what they have left to the end, are looked up where wrappers of them are, which count. */
function withShims(script: string, { at, marker, shims }: Point & { where: "inside" }): string {
    const environment = `export PATH='${shims}':"$PATH" PERL5OPT='-I${shims} -MBlockhostHalt' BH_HALT='${marker}' BH_AT=${String(at)}\n`;
    return script.replaceAll(
        /^bh_mark begin (?:step:\d+\.\d+|settle:.*)\n\(\n/gm,
        (start) => start + environment,
    );
}

/** Commands that change something, or run something that does. */
const SHIMMED = [
    ...["chmod", "cp", "dd", "fallocate", "flock", "ionice", "ln", "mkdir", "mv", "perl", "rm", "rmdir"],
    ...["sed", "setsid", "sh", "sync", "touch", "truncate"],
    ...["lvm", "lvchange", "lvconvert", "lvcreate", "lvextend", "lvremove", "lvrename", "dmsetup", "udevadm"],
];

/**
 * Shell text that makes the wrappers: each counts, and before its command waits as long as the marker file is there.
 * In perl what counts are connections (one a request to tgtd) and writes.
 */
export function makeShims(directory: string): string {
    return `mkdir -p '${directory}' && cd '${directory}' || exit
for name in ${SHIMMED.join(" ")}; do
    real=$(command -v "$name") || continue
    cat > "$name" <<SHIM
#!/bin/sh
printf x >> "\\$BH_HALT.count"
if [ "\\$(/usr/bin/stat -c %s "\\$BH_HALT.count")" = "\\$BH_AT" ]; then
    echo \\$\\$ > "\\$BH_HALT"
    while [ -e "\\$BH_HALT" ]; do /bin/sleep 0.02; done
fi
exec $real "\\$@"
SHIM
    chmod 755 "$name"
done
cat > BlockhostHalt.pm <<'PERL'
package BlockhostHalt;
sub point {
    my $halt = $ENV{BH_HALT} // return;
    open(my $count, ">>", "$halt.count") or return;
    CORE::syswrite($count, "x");
    close $count;
    return unless -s "$halt.count" == $ENV{BH_AT};
    open(my $marker, ">", $halt) or return;
    CORE::syswrite($marker, "$$\\n");
    close $marker;
    select(undef, undef, undef, 0.02) while -e $halt;
}
BEGIN {
    *CORE::GLOBAL::socket = sub (*$$$) { point(); CORE::socket($_[0], $_[1], $_[2], $_[3]) };
    *CORE::GLOBAL::syswrite = sub (*$;$$) {
        point();
        @_ > 3 ? CORE::syswrite($_[0], $_[1], $_[2], $_[3])
            : @_ > 2 ? CORE::syswrite($_[0], $_[1], $_[2]) : CORE::syswrite($_[0], $_[1]);
    };
}
1;
PERL
`;
}
