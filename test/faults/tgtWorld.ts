import { ExportHost, iscsiOutside } from "./exportWorld";
import { storageParts, type StoreKind } from "./storageWorld";
import { tgtd, withoutIdentity } from "./tgtd";
import type { World } from "./world";

/** A storage host of the lab that exports volumes by tgtd; QEMU and libiscsi on this machine are the initiators. */
export async function tgtWorld(kind: StoreKind): Promise<World> {
    const parts = await storageParts(kind);
    const host = parts[0].host("a");
    const { portals, initiator } = await iscsiOutside(host);
    await host.run(START, { timeoutMs: 600_000 });
    const exporter = {
        ...tgtd(),
        title: "tgt",
        protocol: "iscsi",
        target: { helper: "tgt", portals },
        closesPortals: false,
        withoutIdentity,
        initiator,
    } as const;
    return new TgtHost(exporter, ...parts);
}

/** Also at each boot. What is killed is to stay dead until it is started again: systemd would do so at once. */
const START = `mkdir -p /etc/systemd/system/tgt.service.d
printf '[Unit]\\nStartLimitIntervalSec=0\\n[Service]\\nRestart=no\\n' > /etc/systemd/system/tgt.service.d/lab.conf
systemctl unmask -q tgt && systemctl -q enable --now tgt && sync`;

class TgtHost extends ExportHost {
    override async killDaemon(): Promise<void> {
        await this.sh(
            "systemctl kill -s KILL tgt.service; while systemctl -q is-active tgt.service; do sleep 0.1; done",
        );
    }

    /** As when systemd starts it anew: what makes exports at boot is started after it. */
    override async startDaemon(): Promise<void> {
        await this.sh("systemctl restart tgt.service");
    }
}
