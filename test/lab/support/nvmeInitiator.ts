import { createHash } from "node:crypto";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import type { Lab } from "../lab.mjs";
import { blockDevice } from "./blockDevice";
import type { KernelAttached, KernelInitiator } from "./iscsiInitiator";

export const NVME_HOST = "nqn.2024-01.com.example:db1";

const key = (purpose: string) => deriveDhchapKey("a secret of more than thirty-two bytes", purpose);

/** The kernel of a host of the lab as the initiator; keys go to it through /dev/nvme-fabrics, never on a command line. */
export function nvmeInitiator(client: ReturnType<Lab["host"]>): KernelInitiator {
    const run = async (script: string) => (await client.run(script)).stdout.trim();
    return {
        // A host has one pair of keys for all exports; the second secrets belong to a host of their own.
        declares: (secrets, user, other = false) => ({
            nqn: hostOf(user, other),
            dhchap: { key: key(`${secrets} ${user}`), controllerKey: key(`${secrets} ${user} controller`) },
        }),
        async attach(
            exported,
            { stranger = false, secrets = "first", impostor = false, other = false },
        ): Promise<KernelAttached> {
            const { data } = exported.connection;
            const portals = data["portals"] as [string, string, string][];
            const [address = "", port = ""] = portals[0] ?? [];
            const host = hostOf(exported.name, other) + (stranger ? "2" : "");
            const keys =
                secrets === "none"
                    ? {}
                    : {
                          key: key(`${secrets} ${exported.name}`),
                          controllerKey: key(
                              `${secrets} ${exported.name} ${impostor ? "another" : "controller"}`,
                          ),
                      };
            const { device, disconnect } = await connectNvme(client, {
                portal: `${address}:${port}`,
                subsystem: String(data["target_nqn"]),
                uuid: String(data["vol_uuid"]),
                host,
                ...keys,
            });
            let attached = true;
            return {
                device,
                ...blockDevice(run, device),
                // nvmet tells hosts by themselves, which then take a moment.
                capacity: async () => Number(await run(`sleep 2; blockdev --getsize64 ${device}`)),
                detach: async () => {
                    if (!attached) return;
                    attached = false;
                    await disconnect();
                },
            };
        },
    };
}

/** Who connects to what. */
export interface NvmeConnect {
    /** `address:port` */
    readonly portal: string;
    /** NQN. */
    readonly subsystem: string;
    /** Of the namespace. */
    readonly uuid: string;
    /** NQN. */
    readonly host: string;
    readonly key?: string;
    readonly controllerKey?: string;
}

/** Connects a client's kernel, and waits for the device. Rejects where it is not let in. */
export async function connectNvme(
    client: ReturnType<Lab["host"]>,
    { portal, subsystem, uuid, host, key, controllerKey }: NvmeConnect,
): Promise<{ device: string; disconnect: () => Promise<void> }> {
    const [address = "", port = ""] = portal.split(":");
    const options = [
        ...["transport=tcp", `traddr=${address}`, `trsvcid=${port}`, `nqn=${subsystem}`, `hostnqn=${host}`],
        ...[`hostid=${uuidOf(host)}`, "reconnect_delay=2"],
        ...(key === undefined ? [] : [`dhchap_secret=${key}`]),
        ...(controllerKey === undefined ? [] : [`dhchap_ctrl_secret=${controllerKey}`]),
    ];
    await client.run(`modprobe nvme-tcp && printf %s '${options.join(",")}' > /dev/nvme-fabrics`);
    const disconnect = async () => {
        await client.run(
            `for s in /sys/class/nvme/*; do [ "$(cat "$s/subsysnqn")" = ${subsystem} ] && echo 1 > "$s/delete_controller"; done; :`,
        );
    };
    // Emulated, beside others, the kernel takes its time until it has looked at the namespace.
    const { stdout, status, stderr } = await client.run(
        `end=$(($(date +%s) + 60))
while [ "$(date +%s)" -lt $end ]; do
    for u in /sys/block/nvme*/uuid; do
        [ -e "$u" ] && [ "$(cat "$u")" = ${uuid} ] || continue
        d=\${u%/uuid}; [ -b "/dev/\${d##*/}" ] && echo "/dev/\${d##*/}" && exit
    done
    sleep 0.1
done
{ grep -H . /sys/class/nvme/*/subsysnqn /sys/class/nvme/*/state /sys/block/nvme*/uuid; dmesg | tail -20; } >&2; exit 1`,
        { tolerate: true },
    );
    if (status !== 0) {
        await disconnect();
        throw new Error(`host ${client.name} has no device of ${subsystem} (${uuid}): ${stderr}`);
    }
    return { device: stdout.trim(), disconnect };
}

function hostOf(user: string, other = false): string {
    return `${NVME_HOST}-${user}${other ? "-other" : ""}`;
}

/** Linux wants one hostid for each host name. */
function uuidOf(name: string): string {
    const hash = createHash("sha256").update(name).digest("hex");
    return hash.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
