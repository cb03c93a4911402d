import { quote } from "../../provider/sh";
import type { Lab } from "../lab/lab.mjs";
import { lvmBackend } from "../lab/lvmBackend";
import type { Store } from "./storageWorld";

const TITLE = { thin: "LVM, thin", thick: "LVM, thick" };

/** LVM on disks of a storage host's own. */
export function lvmStore(kind: "thin" | "thick", lab: Lab): Store {
    const backend = lvmBackend(kind, () => Promise.resolve(lab));
    const { group } = backend;
    const run = (script: string) => backend.run(script);
    const lv = (name: string) => `${group}/${name}`;
    /** What stopped half-way may have been left inactive; it is looked at all the same, as after a boot. */
    const onDevice = (name: string, script: string) =>
        run(`set -e
down=
[ -b /dev/${quote(lv(name))} ] || { lvchange -q -ay -K ${quote(lv(name))}; down=yes; udevadm settle; }
cd /dev; ${script} ${quote(lv(name))}
[ -z "$down" ] || lvchange -q -an ${quote(lv(name))}`);
    return {
        title: TITLE[kind],
        grain: backend.grain,
        stateDirectory: backend.stateDirectory,
        pool: backend.options,
        // The lab is there already; of its own, this makes the volume group.
        prepare: () => backend.start(),
        exists: async (name) =>
            (await run(`lvs --noheadings ${quote(lv(name))} 2>/dev/null | wc -l`)) === "1",
        async objects() {
            const names = await run(
                `lvs --noheadings -o lv_attr,lv_name ${group} | awk '!/^ *t/ { print $2 }'`,
            );
            return names.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
        },
        size: async (name) => Number(await onDevice(name, "blockdev --getsize64")),
        fill: (name, byte, bytes = 4096) => backend.fill(name, byte, bytes),
        firstByte: async (name) => Number(await onDevice(name, "od -An -tu1 -N1")),
        digest: (name) => onDevice(name, "sha256sum <"),
        async ownerOf(name) {
            const tags = await run(`lvs --noheadings -o lv_tags ${quote(lv(name))}`);
            return /owner:([^&]*)/.exec(tags)?.[1] ?? "";
        },
        async somebodysData(name, byte, bytes, of) {
            if (of !== undefined) {
                await backend.fill(of, byte, bytes);
                const size = kind === "thin" ? "-kn" : `-L ${String(bytes)}b`;
                await run(`lvcreate -q -s ${size} -n ${name} ${group}/${of}`);
            } else {
                await run(
                    kind === "thin"
                        ? `lvcreate -q --type thin -V ${String(bytes)}b --thinpool pool0 -n ${name} ${group}`
                        : `lvcreate -q -y -Wy -L ${String(bytes)}b -n ${name} ${group}`,
                );
                await backend.fill(name, byte, 4096);
            }
            return name;
        },
        async discard(name) {
            await run(`lvremove -q -y ${quote(lv(name))}`);
        },
        // Logical volumes with their tags, also hidden ones; devices, suspended or not.
        listing: `lvs -a --noheadings --units b --nosuffix -o lv_name,lv_size,origin,pool_lv,lv_active,lv_merging,lv_tags ${group} | sed 's/^/lv /'
vgs --noheadings -o vg_tags ${group} | sed 's/^/vg /'
dmsetup info -c --noheadings -o name,suspended | sed 's/^/dm /'`,
        async fillUp() {
            await run(`lvcreate -q -y -an -Wn -Zn -l 100%FREE -n hog ${group}`);
            return async () => {
                await run(`lvremove -q -y ${group}/hog`);
            };
        },
    };
}
