import type { Explanation } from "../../host/plan";

/** Where modules of a kernel come from. */
export const KERNEL_PACKAGES =
    "the kernel's own package (Debian: linux-image-amd64; Ubuntu: linux-modules-extra-…; Fedora: kernel-modules)";

/** What LIO serves a device by, and what `mkdir` says where the kernel does not find it: EINVAL. */
const BACKEND = /core\/(iblock|fileio)_\d+['’"]?: Invalid argument/;
const BACKENDS: Readonly<Record<string, readonly [module: string, serves: string]>> = {
    iblock: ["target_core_iblock", "block devices"],
    fileio: ["target_core_file", "files"],
};

/** What the words mean that boot files fail with (shell.ts), for users of LIO or nvmet. */
export function explainer(label: string): (said: string) => Explanation | undefined {
    return (said) => {
        const [, wanted] = /^modules: cannot load (.*)$/m.exec(said) ?? [];
        if (wanted !== undefined) {
            return {
                code: "unsupported",
                summary: `the host's kernel does not load the modules of ${label}`,
                hint: `\`modprobe -a ${wanted}\` has to work there: as root (or \`sudo: true\`), with ${KERNEL_PACKAGES} of the kernel that runs, and not in a container`,
            };
        }
        if (/^configfs: /m.test(said)) {
            return {
                code: "unsupported",
                summary: `configfs cannot be mounted on the host, and ${label} is set up through it`,
                hint: "`mount -t configfs none /sys/kernel/config` has to work there: as root (or `sudo: true`), and not in a container",
            };
        }
        const [module, serves] = BACKENDS[BACKEND.exec(said)?.[1] ?? ""] ?? [];
        if (module === undefined || serves === undefined) return undefined;
        return {
            code: "unsupported",
            summary: `${label} on the host cannot serve ${serves}: the kernel has no module ${module}, or does not load it`,
            hint: `it is part of ${KERNEL_PACKAGES}: install the one of the kernel that runs, and then \`modprobe ${module}\` there, since LIO itself asks for it only once after a boot`,
        };
    };
}
