import { quote } from "../../provider/sh";
import type { Lab } from "../lab/lab.mjs";
import type { Store } from "./storageWorld";

const DIRECTORY = "/srv/faults";
const STATE = "/var/lib/blockhost-file";

/** Files in a directory of a storage host, on ext4 with a journal. */
export function fileStore(lab: Lab): Store {
    const run = async (script: string) => (await lab.host("a").run(script)).stdout.trim();
    const file = (name: string) => quote(`${DIRECTORY}/${name}.img`);
    const fill = async (name: string, byte: number, bytes = 4096) => {
        const octal = `\\${byte.toString(8).padStart(3, "0")}`;
        await run(
            `head -c ${String(bytes)} /dev/zero | tr '\\000' '${octal}' | dd of=${file(name)} conv=notrunc,fsync bs=1M iflag=fullblock status=none`,
        );
    };
    return {
        title: "file",
        grain: 1,
        stateDirectory: STATE,
        pool: { driver: "file", directory: DIRECTORY, initialize: true },
        async prepare() {
            await run(`rm -rf ${DIRECTORY} ${STATE} && mkdir -p ${DIRECTORY} && sync`);
        },
        exists: async (name) => (await run(`[ ! -e ${file(name)} ] || echo yes`)) !== "",
        async objects() {
            const names = await run(`cd ${DIRECTORY} && find . -maxdepth 1 -name '*.img' -printf '%f\\n'`);
            return names.split("\n").flatMap((name) => (name === "" ? [] : [name.slice(0, -".img".length)]));
        },
        size: async (name) => Number(await run(`stat -c %s ${file(name)}`)),
        fill,
        firstByte: async (name) => Number(await run(`od -An -tu1 -N1 ${file(name)}`)),
        digest: (name) => run(`sha256sum < ${file(name)}`),
        async ownerOf(name) {
            const mark = await run(`readlink ${quote(`${DIRECTORY}/.blockhost/marks/${name}`)}`);
            return /owner:([^&]*)/.exec(mark)?.[1] ?? "";
        },
        async somebodysData(name, byte, bytes) {
            await run(`truncate -s ${String(bytes)} ${file(name)}`);
            await fill(name, byte);
            return `${name}.img`;
        },
        async discard(name) {
            await run(`rm ${file(name)}; sync ${DIRECTORY}`);
        },
        listing: `cd ${DIRECTORY} && find . -mindepth 1 \\( -name reflink -o -type l -printf 'pool %p -> %l\\n' -o -type f -printf 'pool %p %m %s %n\\n' -o -printf 'pool %p %y %m\\n' \\)`,
        fillUp() {
            throw new Error(
                "it is the host's own file system, which is not to be full: see embeddedWorld.ts",
            );
        },
    };
}
