import { createHash } from "node:crypto";
import type { As, Attached, ExportBackend } from "../../contract/exports";
import { CLIENT } from "../../support/client";
import type { Lab } from "../lab.mjs";
import { blockDevice } from "./blockDevice";

/** As whom a kernel's initiator tries to get in, and whom it takes for the target. */
export interface KernelAs extends As {
    /** It expects another proof of the target than that gives. */
    readonly impostor?: boolean;
    /** An initiator with its own credentials, in place of those that the others have. */
    readonly who?: { readonly name: string; readonly chap: Credentials; readonly mutualChap: Credentials };
}

interface Credentials {
    readonly username: string;
    readonly password: string;
}

/** An initiator that is a kernel's. */
export interface KernelInitiator extends Pick<ExportBackend, "declares"> {
    attach(exported: Parameters<ExportBackend["attach"]>[0], as: KernelAs): Promise<KernelAttached>;
}

export interface KernelAttached extends Attached {
    /** `/dev/sdb`, on the client. */
    readonly device: string;
}

const OTHER = `${CLIENT}-other`;
const PASSWORDS = { first: "Open-Sesame-123", second: "Another-Word-1" } as const;

/** The kernel of a host of the lab, with open-iscsi. Each export has an interface record of its own, as a name goes by it. */
export function iscsiInitiator(client: ReturnType<Lab["host"]>): KernelInitiator {
    const run = async (script: string) => (await client.run(script)).stdout.trim();
    return {
        declares: (secrets, user, other = false) => ({
            iqn: other ? OTHER : CLIENT,
            chap: { username: user, password: PASSWORDS[secrets] },
            mutualChap: { username: `${user}-target`, password: `${PASSWORDS[secrets]}-back` },
        }),
        async attach(
            exported,
            { stranger = false, secrets = "first", impostor = false, other = false, who },
        ): Promise<KernelAttached> {
            const { data } = exported.connection;
            const portal = String(data["target_portal"]);
            const target = String(data["target_iqn"]);
            const usual = other ? OTHER : CLIENT;
            const name = who?.name ?? (stranger ? `${usual}2` : usual);
            const face = `bh-${createHash("sha256").update(target).digest("hex").slice(0, 12)}`;
            const node = `iscsiadm -m node -T ${target} -p ${portal} -I ${face}`;
            const credentials =
                secrets === "none"
                    ? {}
                    : {
                          authmethod: "CHAP",
                          username: who?.chap.username ?? exported.name,
                          password: who?.chap.password ?? PASSWORDS[secrets],
                          username_in: who?.mutualChap.username ?? `${exported.name}-target`,
                          password_in:
                              who?.mutualChap.password ??
                              (impostor ? "Somebody-Else-1" : `${PASSWORDS[secrets]}-back`),
                      };
            const settings = Object.entries({
                ...Object.fromEntries(
                    Object.entries(credentials).map(([key, value]) => [`auth.${key}`, value]),
                ),
                initial_login_retry_max: "1",
            }).map(([key, value]) => `${node} -o update -n node.session.${key} -v '${value}'`);
            const forget = `${node} --logout; ${node} -o delete; iscsiadm -m iface -I ${face} -o delete`;
            const path = `/dev/disk/by-path/ip-${portal}-iscsi-${target}-lun-${String(data["target_lun"])}`;
            const device = await run(`{ systemctl start iscsid; ${forget}; } >/dev/null 2>&1
{ iscsiadm -m iface -I ${face} -o new && iscsiadm -m iface -I ${face} -o update -n iface.initiatorname -v ${name} &&
${[`${node} -o new`, ...settings, `${node} --login`].join(" &&\n")}; } >&2 || { ${forget}; exit 1; } >/dev/null 2>&1
n=0; until [ -b ${path} ]; do [ $n -lt 100 ] || exit 1; sleep 0.1; n=$((n + 1)); done
readlink -f ${path}`);
            let attached = true;
            return {
                device,
                ...blockDevice(run, device),
                capacity: async () =>
                    Number(await run(`${node} -R >/dev/null && blockdev --getsize64 ${device}`)),
                detach: async () => {
                    if (!attached) return;
                    attached = false;
                    await run(`{ ${forget}; } >/dev/null 2>&1; :`);
                },
            };
        },
    };
}
