import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import type { Context } from "../../../provider/resources/types";
import { type Made, chap, contextFor, counted, create, inParallel, iqn, kind } from "../support";
import { GROUP, type Guest, HOST, POOL, configuration, timed, timedOnGuest } from "./guest";
import { cinderRound } from "./peers";
import type { Results } from "./results";
import { WIDTH } from "./volumes";

/** Exports with an access list and credentials: ours, and the bare writes to configfs for the same. */

/** Volumes as files, of which a thousand are made in no time. */
const FILES = "files";
const DIRECTORY = "/srv/bench";
const PORTALS = { iscsi: "10.77.1.1:3260", "nvme-tcp": "10.77.1.1:4420" };
/** How often the cost of one more is measured. */
const TIMES = 3;

const nqn = (n: number) => `nqn.2024-01.com.example:client${String(n)}`;
const key = (purpose: string) => deriveDhchapKey("a secret of more than thirty-two bytes", purpose);

const PROTOCOLS = {
    iscsi: {
        suffix: "",
        initiator: (i: number) => ({ iqn: iqn(i), chap: chap(i) }),
        prepare: "modprobe -a target_core_mod iscsi_target_mod",
        functions: `make() {
s=core/iblock_9$1 t=iscsi/iqn.2024-01.com.example:bare$1 c=${iqn(0).slice(0, -1)}$1
p=$t/tpgt_1
mkdir $s $s/bare $t $p $p/lun/lun_0 $p/np/${PORTALS.iscsi} $p/acls/$c $p/acls/$c/lun_0 || exit
s=$s/bare
printf %s "udev_path=$2" > $s/control && printf %s "$2" > $s/udev_path && printf %s "bare$1" > $s/wwn/vpd_unit_serial &&
printf 1 > $s/enable && printf 1 > $s/attrib/emulate_tpu && printf 1 > $p/attrib/authentication &&
printf CHAP > $p/param/AuthMethod && printf %s "user$1" > $p/acls/$c/auth/userid &&
printf %s "password-of-000$1" > $p/acls/$c/auth/password &&
ln -s /sys/kernel/config/target/$s $p/lun/lun_0/ && ln -s /sys/kernel/config/target/$p/lun/lun_0 $p/acls/$c/lun_0/ &&
printf 1 > $p/enable || exit
}
take() {
s=core/iblock_9$1 t=iscsi/iqn.2024-01.com.example:bare$1 c=${iqn(0).slice(0, -1)}$1
p=$t/tpgt_1
printf 0 > $p/enable && rm $p/acls/$c/lun_0/bare $p/acls/$c/lun_0/lun_0 $p/lun/lun_0/bare 2>/dev/null
rmdir $p/acls/$c/lun_0 $p/acls/$c $p/np/${PORTALS.iscsi} $p/lun/lun_0 $p $t $s/bare $s || exit
}
cd /sys/kernel/config/target`,
    },
    "nvme-tcp": {
        suffix: "Nvme",
        initiator: (i: number) => ({
            nqn: nqn(i),
            dhchap: { key: key(String(i)), controllerKey: key(`${String(i)} controller`) },
        }),
        prepare: `modprobe -a nvmet nvmet-tcp && cd /sys/kernel/config/nvmet && [ -d ports/7 ] || { mkdir ports/7 &&
printf ipv4 > ports/7/addr_adrfam && printf 10.77.1.1 > ports/7/addr_traddr && printf tcp > ports/7/addr_trtype && printf 4421 > ports/7/addr_trsvcid; }`,
        functions: `make() {
n=subsystems/nqn.2024-01.com.example:bare$1 h=hosts/${nqn(0).slice(0, -1)}9$1
mkdir $n $n/namespaces/1 $h || exit
printf 0 > $n/attr_allow_any_host && printf %s "bare$1" > $n/attr_serial && printf %s "$2" > $n/namespaces/1/device_path &&
printf 1 > $n/namespaces/1/enable && printf %s '${key("bare")}' > $h/dhchap_key && printf %s '${key("bare controller")}' > $h/dhchap_ctrl_key &&
ln -s /sys/kernel/config/nvmet/$h $n/allowed_hosts/ && ln -s /sys/kernel/config/nvmet/$n ports/7/subsystems/ || exit
}
take() {
n=subsystems/nqn.2024-01.com.example:bare$1 h=hosts/${nqn(0).slice(0, -1)}9$1
rm ports/7/subsystems/\${n#*/} $n/allowed_hosts/\${h#*/} && printf 0 > $n/namespaces/1/enable && rmdir $n/namespaces/1 $n $h || exit
}
cd /sys/kernel/config/nvmet`,
    },
} as const;

type Protocol = keyof typeof PROTOCOLS;

/** The same as one types it: a process for each directory and each link. */
const ONE_BY_ONE = ["mkdir", "rmdir", "rm"]
    .map((tool) => `${tool}() { for x; do command ${tool} "$x"; done; }`)
    .join("\n");
const BY_HAND = [
    ["limit", ""],
    ["shell", `\n${ONE_BY_ONE}`],
] as const;

function exportsConfiguration(guest: Guest) {
    const plain = configuration(guest);
    return {
        ...plain,
        pools: { ...plain.pools, [FILES]: { driver: "file", directory: DIRECTORY, initialize: true } },
        targets: {
            iscsi: { helper: "lio", portals: [PORTALS.iscsi] },
            "nvme-tcp": { helper: "nvmet", portals: [PORTALS["nvme-tcp"]] },
        },
    };
}

const args = (protocol: Protocol, source: Made | undefined, i: number) => ({
    source: source?.id,
    protocol,
    initiators: [PROTOCOLS[protocol].initiator(i)],
});

const makeVolumes = (context: Context, n: number, pool: string, prefix: string) =>
    inParallel(n, WIDTH, (i) =>
        create(context, "Volume", `${prefix}${String(i)}`, {
            host: HOST,
            pool,
            size: pool === FILES ? "1MiB" : "1GiB",
        }),
    );
const remove = (context: Context, type: string, all: readonly Made[]) =>
    inParallel(all.length, WIDTH, (i) => kind(type).delete(context, all[i]?.state ?? {}));

/** One round: `n` exports by us beside a first, one more with these there, and all that gone; the same by hand. */
export async function exportRound(guest: Guest, results: Results, n: number): Promise<void> {
    const context = contextFor(HOST, exportsConfiguration(guest));
    await context.hosts.get(HOST).facts();
    const volumes = await makeVolumes(context, n + 2, POOL, "x");
    for (const protocol of Object.keys(PROTOCOLS) as Protocol[]) {
        const { suffix } = PROTOCOLS[protocol];
        // With the first of a host comes the unit that makes all of them at boot, with the last it goes.
        const first = await create(context, "Export", "first", args(protocol, volumes[n + 1], n + 1));
        const [exports, seconds] = await timed(() =>
            inParallel(n, WIDTH, (i) =>
                create(context, "Export", `x${String(i)}`, args(protocol, volumes[i], i)),
            ),
        );
        results.add("ours", `export${suffix}`, n, seconds);
        await oneMore(guest, context, results, protocol, n, volumes[n]);
        const [, gone] = await timed(() => remove(context, "Export", exports));
        results.add("ours", `unexport${suffix}`, n, gone);
        await remove(context, "Export", [first]);
        await bare(guest, results, protocol, n);
    }
    await remove(context, "Volume", volumes);
    await context.hosts.close();
}

/** The cost of one more, with `n` there: ours and by hand, and how many remote runs ours takes. */
async function oneMore(
    guest: Guest,
    context: Context,
    results: Results,
    protocol: Protocol,
    n: number,
    volume: Made | undefined,
): Promise<void> {
    const { suffix, functions, prepare } = PROTOCOLS[protocol];
    for (let i = 0; i < TIMES; i++) {
        const [[more, runs], seconds] = await timed(() =>
            counted(context, () => create(context, "Export", "more", args(protocol, volume, 9999))),
        );
        results.add("ours", `exportMore${suffix}`, n, seconds);
        const [[, gone], less] = await timed(() =>
            counted(context, () => kind("Export").delete(context, more.state)),
        );
        results.add("ours", `unexportMore${suffix}`, n, less);
        results.remoteRuns[`export${suffix}`] = runs;
        results.remoteRuns[`unexport${suffix}`] = gone;
        const device = String(volume?.state["path"]);
        for (const [side, how] of BY_HAND) {
            const start = `${prepare}\n${functions}${how}`;
            const by = await timedOnGuest(guest, `make 9999 ${device}`, start);
            results.add(side, `exportMore${suffix}`, n, by);
            const off = await timedOnGuest(guest, "take 9999", start);
            results.add(side, `unexportMore${suffix}`, n, off);
        }
    }
}

/** By hand: one shell for all, with one `mkdir` an export, and with one for each directory. */
async function bare(guest: Guest, results: Results, protocol: Protocol, n: number): Promise<void> {
    const { suffix, functions, prepare } = PROTOCOLS[protocol];
    const loop = (what: string) => `i=0; while [ $i -lt ${String(n)} ]; do ${what}; i=$((i + 1)); done`;
    for (const [side, how] of BY_HAND) {
        const start = `${prepare}\n${functions}${how}`;
        const seconds = await timedOnGuest(guest, loop(`make $i /dev/${GROUP}/x$i`), start);
        results.add(side, `export${suffix}`, n, seconds);
        const gone = await timedOnGuest(guest, loop("take $i"), start);
        results.add(side, `unexport${suffix}`, n, gone);
    }
}

/** The cost of one more export of a logical volume with so many exports of files there. */
export async function manyExports(
    guest: Guest,
    results: Results,
    n: number,
    cinderToo: boolean,
): Promise<void> {
    await guest.run(`mkdir -p ${DIRECTORY}`);
    const context = contextFor(HOST, exportsConfiguration(guest));
    await context.hosts.get(HOST).facts();
    const files = await makeVolumes(context, n, FILES, "f");
    const [volume] = await makeVolumes(context, 1, POOL, "x");
    for (const protocol of Object.keys(PROTOCOLS) as Protocol[]) {
        const exports = await inParallel(n, WIDTH, (i) =>
            create(context, "Export", `f${String(i)}`, args(protocol, files[i], i)),
        );
        await oneMore(guest, context, results, protocol, n, volume);
        if (cinderToo && protocol === "iscsi") await cinderRound(guest, results, { beside: n, times: 1 });
        await remove(context, "Export", exports);
    }
    await remove(context, "Volume", [...files, ...(volume === undefined ? [] : [volume])]);
    await context.hosts.close();
}
