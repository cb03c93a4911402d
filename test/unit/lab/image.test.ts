import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../../../tools/lifetime.mjs";
import { backports } from "../../lab/emulator.mjs";
import { moduleOrder } from "../../lab/image/kernel.mjs";
import { aptSources } from "../../lab/image/sources.mjs";

describe("the mirror of this machine", () => {
    const aptDirectory = (files: Record<string, string>) => {
        const directory = temporaryDirectory("apt");
        mkdirSync(join(directory, "sources.list.d"));
        for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
        return directory;
    };

    test("is taken from both of apt's formats, as far as it is Debian's of this release", () => {
        const directory = aptDirectory({
            "sources.list": [
                "# deb http://mirror.example/debian bookworm main",
                "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main",
                "deb http://mirror.example/debian trixie main",
                "deb-src http://mirror.example/debian bookworm main",
                "",
            ].join("\n"),
            "sources.list.d/debian.sources": [
                "Types: deb",
                "# a remark",
                "URIs: http://mirror.example/debian-security",
                "Suites: bookworm-security",
                "Components: main",
                "",
                "Types: deb",
                "Enabled: no",
                "URIs: http://mirror.example/off",
                "Suites: bookworm",
                "",
            ].join("\n"),
            "sources.list.d/other.list": "deb http://other.example/apt stable-bookworm main\n",
            "sources.list.d/node.sources": "Types: deb\nURIs: http://node.example\nSuites: nodistro\n",
            "sources.list.d/off.sources.disabled": "Types: deb\nURIs: http://x.example\nSuites: bookworm\n",
        });
        expect(aptSources("bookworm", directory)).toEqual([
            "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main\n",
            "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n",
        ]);
    });

    test("has the release's backports where it has the release", () => {
        const lines = [
            "deb [signed-by=/bookworm.gpg] http://mirror.example/debian bookworm main contrib",
            "deb http://mirror.example/debian bookworm-updates main",
        ];
        const stanzas = [
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main",
            "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main",
        ];
        expect(backports([`${lines.join("\n")}\n`, `${stanzas.join("\n\n")}\n`], "bookworm")).toEqual([
            "deb [signed-by=/bookworm.gpg] http://mirror.example/debian bookworm-backports main contrib\n",
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\nComponents: main\n",
        ]);
    });

    test("is told to be missing where apt knows none", () => {
        expect(() => aptSources("bookworm", aptDirectory({}))).toThrow(/no source for Debian bookworm/);
    });
});

describe("modules", () => {
    const directory = temporaryDirectory("modules");
    writeFileSync(
        join(directory, "modules.dep"),
        [
            "kernel/a/virtio_blk.ko: kernel/b/virtio-ring.ko",
            "kernel/b/virtio-ring.ko: kernel/b/virtio.ko",
            "kernel/b/virtio.ko:",
            "kernel/c/sd_mod.ko.xz: kernel/b/virtio.ko",
            "",
        ].join("\n"),
    );
    writeFileSync(join(directory, "modules.builtin"), "kernel/fs/ext4/ext4.ko\n");

    test("come after what they need, each once; what is built in does not come", () => {
        expect(moduleOrder(directory, ["virtio_blk", "ext4", "sd_mod"])).toEqual([
            "kernel/b/virtio.ko",
            "kernel/b/virtio-ring.ko",
            "kernel/a/virtio_blk.ko",
            "kernel/c/sd_mod.ko.xz",
        ]);
    });

    test("that the kernel has not are named", () => {
        expect(() => moduleOrder(directory, ["virtio_blk", "warp_drive"])).toThrow(/warp_drive/);
    });
});
