import { quote } from "../../provider/sh";
import type { Lab } from "../lab/lab.mjs";
import { type TcpProxy, tcpProxy } from "./tcpProxy";
import type { Tormented } from "./world";

type LabHost = ReturnType<Lab["host"]>;

/** Where points halt; it outlives power cuts, as the wrappers in it have to. */
const HALTS = "/var/lib/lab-halts";

/** A way to a host of the lab that can be cut. */
export async function wayTo(host: LabHost): Promise<TcpProxy> {
    await host.run(`mkdir -p ${HALTS}; sync`);
    return tcpProxy(() => host.port);
}

/** What can happen to a host of the lab, whatever it is there for. */
export class LabMachine implements Pick<
    Tormented,
    "haltDirectory" | "sh" | "killShells" | "cutConnections" | "cutAfter" | "powerOff" | "powerOn" | "sees"
> {
    readonly haltDirectory = HALTS;

    constructor(
        protected readonly machine: LabHost,
        protected readonly proxy: TcpProxy,
    ) {}

    async sh(script: string): Promise<string> {
        return (await this.machine.run(`export LVM_SUPPRESS_FD_WARNINGS=1\n${script}`)).stdout;
    }

    /** Boots, with nothing halted any more. */
    protected async startAgain(): Promise<void> {
        await this.powerOff();
        await this.powerOn();
        await this.sh(`rm -rf ${HALTS}/zz*`);
    }

    /** The shells that scripts run in and all that belongs to their sessions; not what has made a session of its own. */
    async killShells(): Promise<void> {
        await this.sh(`${PROCESSES}\nfor p in $inside; do kill -KILL $p 2>/dev/null; done; :`);
    }

    cutConnections(): Promise<void> {
        this.proxy.cut();
        return Promise.resolve();
    }

    cutAfter(bytes: number): void {
        // Encrypted it is more, so a little less of it gets there.
        this.proxy.cutAfter(bytes);
    }

    async powerOff(): Promise<void> {
        await this.machine.powerOff();
        this.proxy.cut();
    }

    async powerOn(): Promise<void> {
        await this.machine.powerOn();
    }

    /** What `script` prints, and units, files (also those that go when it boots), held locks and runs; line by line. */
    protected async left(stateDirectory: string, script: string): Promise<string[]> {
        const text = await this.sh(`${script}
${UNITS}
find /run/blockhost-* ! -type d -printf 'run %p\\n' 2>/dev/null
if cd ${stateDirectory} 2>/dev/null; then
    find . -mindepth 1 ! -type d -printf 'state %p %y %m\\n'
    flock -n -s lock true || echo 'state lock is held'
fi
${PROCESSES}
for p in $others; do echo 'processes are left'; break; done`);
        return text
            .split("\n")
            .map((line) => line.trim().replace(/ +/g, " "))
            .filter((line) => line !== "")
            .map((line) => line.replace(/\b[0-9a-f]{16}\b/g, "GENERATION"));
    }

    async sees(path: string): Promise<boolean> {
        // Waits there for a while: asking all the time would take the host's only processor from what is waited for.
        const found = await this.sh(
            `for i in 1 2 3; do [ ! -e ${quote(path)} ] || { echo yes; break; }; sleep 0.1; done`,
        );
        return found !== "";
    }
}

/**
 * Prints units of ours. One that runs at boot is there as its file: systemd has it in memory only where the host has been
 * started since, and it has run there.
 */
const UNITS = String.raw`
# One that failed while the other host was down tries again every few seconds.
n=0; while [ $n -lt 60 ] && systemctl list-units --all --plain --no-legend 'blockhost-*' | grep -q ' activating '; do sleep 2; n=$((n + 1)); done
systemctl list-units --all --plain --no-legend 'blockhost-*' |
    sed '/^blockhost-\(exports-[0-9a-f]*\|shutdown-[0-9a-f]*\|attachments\)\.service *loaded *\(active *exited\|inactive *dead\) /d; s/^/unit /'
for file in /etc/systemd/system/blockhost-* /etc/systemd/system/*/blockhost-*; do [ ! -e "$file" ] || echo "unit $file"; done`;

/**
 * Sets `inside` to the processes of the sessions that scripts run in (made by `setsid` in the channel of a connection),
 * and `others` to what else has come from a connection. Without sshd, the channels, and who asks.
 */
const PROCESSES = String.raw`
eval "$(ps -eo pid=,ppid=,sid=,comm=,cgroup= | awk -v own="$(ps -o sid= -p $$ | tr -d ' ')" '
    $5 !~ /ssh\.service/ || $3 == own { if ($4 == "sshd") daemon[$1] = 1; next }
    $4 == "sshd" { daemon[$1] = 1; next }
    { parent[$1] = $2; session[$1] = $3 }
    END {
        for (p in parent) if (parent[p] in daemon) channel[p] = 1
        for (p in parent) if (parent[p] in channel && session[p] == p) shell[p] = 1
        for (p in parent) if (session[p] in shell) inside = inside " " p; else if (!(p in channel)) others = others " " p
        print "inside=\"" inside "\" others=\"" others "\""
    }')"`;
