import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import type { NvmetOptions } from "../../../provider/targets/nvmet/options";
import type { ExportWanted } from "../../../provider/targets/types";
import { KernelHost, mark, type Run } from "../../lab/support/kernelHost";

export const PORTAL = "127.0.0.1:4420";
export const CLIENT = "nqn.2024-01.com.example:client";

/**
 * nvmet as a directory: files where the kernel has attributes, made and removed with the directories that they are in.
 * What the kernel refuses it does not refuse, save what is linked to.
 */
export class NvmetKernel {
    readonly directory = mkdtempSync(join(tmpdir(), "bh-nvmet-"));
    readonly host: KernelHost<NvmetOptions>;
    /** Another stack's view of the same host. */
    readonly other: KernelHost<NvmetOptions>;
    /** Scripts that were run, all in one. */
    ran = "";

    constructor() {
        const ref = {
            protocol: "nvme-tcp" as const,
            helper: "nvmet",
            portals: [PORTAL],
            options: nvmetTarget.options.parse({}),
            stateDirectory: join(this.directory, "state"),
        };
        this.host = new KernelHost(nvmetTarget, ref, this.run);
        this.other = new KernelHost(nvmetTarget, ref, this.run);
        this.reset();
    }

    reset(): void {
        rmSync(this.directory, { recursive: true, force: true });
        for (const path of ["nvmet/subsystems", "nvmet/hosts", "nvmet/ports", "module/nvmet_tcp", "state"])
            mkdirSync(join(this.directory, path), { recursive: true });
        for (const name of ["pg", "one", "two"]) writeFileSync(join(this.directory, name), "x".repeat(4096));
        writeFileSync(join(this.directory, "tcp"), "");
        writeFileSync(join(this.directory, "log"), "[    0.000000] Linux version 6.12\n");
        this.ran = "";
    }

    remove(): void {
        rmSync(this.directory, { recursive: true });
    }

    /** Runs shell text as on the host. */
    readonly run: Run = (script) => {
        this.ran += script;
        const at = (path: string) => join(this.directory, path);
        const text = script
            .replaceAll("/sys/kernel/config", this.directory)
            .replaceAll("/sys/module", at("module"))
            .replaceAll("/proc/net/tcp", at("tcp"))
            .replaceAll("/run/systemd/system", at("no-systemd"))
            .replaceAll("/dev/kmsg", at("log"))
            .replaceAll("/run/blockhost-", at("run-"));
        const { status, stdout, stderr } = spawnSync("sh", {
            input: `${KERNEL}\ndmesg() { sed 's/^<6>/[    8.2] /' ${at("log")}; }\n${text}`,
            encoding: "utf8",
        });
        // Links lead there as configfs shows them.
        const shown = stdout
            .replaceAll(`\t${this.directory}/`, "\t../../../../")
            .replaceAll(at("tcp"), "/proc/net/tcp");
        return Promise.resolve({ status: status ?? -1, stdout: shown, stderr });
    };

    /** Shell text in nvmet's directory. */
    sh(script: string): Promise<string> {
        return this.host.sh(`cd ${this.directory}/nvmet || exit\n${script}`);
    }

    /** A host connects, as far as it can be seen. */
    connect(host: string, subsystem: string): void {
        const [address, port] = ["0100007F", Number(PORTAL.split(":")[1]).toString(16).toUpperCase()];
        const rest =
            "00000000:00000000 00:00000000 00000000     0        0 5000 1 0000000000000000 100 0 0 10 0";
        const socket = `   0: ${address}:${port} 0200000A:9C40 01 ${rest}\n`;
        writeFileSync(join(this.directory, "tcp"), socket);
        const line = `[    7.1] nvmet: Created nvm controller 1 for subsystem ${subsystem} for NQN ${host}.\n`;
        appendFileSync(join(this.directory, "log"), line);
    }

    /** All connections end. */
    disconnect(): void {
        writeFileSync(join(this.directory, "tcp"), "");
    }

    /** All that there is, as text. */
    dump(): Promise<string> {
        return this.sh(
            String.raw`{ find . -type l -printf '%p -> %l\n' -o -type d -printf '%p/\n'; grep -r '' .; } | sort`,
        );
    }

    want(name: "pg" | "one" | "two", initiators: ExportWanted["initiators"]): ExportWanted {
        return {
            name,
            mark: mark(name),
            devicePath: join(this.directory, name),
            sizeBytes: 4096,
            readOnly: false,
            initiators,
            addresses: [],
            portals: [],
            discard: true,
        };
    }
}

const KERNEL = String.raw`
put() { for bh_p; do command printf '%s\n' "\${bh_p#*=}" > "$bh_d/\${bh_p%%=*}" || return; done; }
mkdir() {
    bh_mode=0755
    case "$1 $3" in
    '-m --') bh_mode=$2; shift 3 ;;
    '-- '*) shift ;;
    -*) command mkdir "$@"; return ;;
    esac
    for bh_d; do
        command mkdir -m "$bh_mode" "$bh_d" || return
        case $bh_d in
            hosts/*) put dhchap_key= dhchap_ctrl_key= 'dhchap_hash=hmac(sha256)' dhchap_dhgroup=null ;;
            subsystems/*/namespaces/*)
                put 'device_path=(null)' device_uuid= device_nguid= enable=0 buffered_io=0 ana_grpid=1 revalidate_size= ;;
            subsystems/*)
                command mkdir "$bh_d/namespaces" "$bh_d/allowed_hosts" &&
                put attr_allow_any_host=0 attr_serial=x attr_model=Linux attr_cntlid_min=1 attr_cntlid_max=65519 \
                    attr_pi_enable=0 attr_qid_max=128 ;;
            ports/*)
                command mkdir -p "$bh_d/subsystems" "$bh_d/ana_groups/1" &&
                put addr_adrfam= addr_traddr= addr_trtype= addr_trsvcid= 'addr_treq=not specified' addr_tsas=none \
                    ana_groups/1/ana_state=optimized ;;
        esac || return
    done
}
rmdir() {
    [ "$1" != -- ] || shift
    for bh_d; do
        for bh_f in "$bh_d"/subsystems/* "$bh_d"/allowed_hosts/* "$bh_d"/namespaces/* subsystems/*/allowed_"$bh_d"; do
            [ ! -e "$bh_f" ] || return 1
        done
        command rm -r -- "$bh_d" || return
    done
}
printf() {
    case $1 in
        '\0') echo ;;
        %s) command printf '%s\n' "$2" ;;
        *) command printf "$@" ;;
    esac
}
`.replaceAll("\\$", "$");
