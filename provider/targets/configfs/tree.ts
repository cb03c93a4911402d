/**
 * What was read of a configfs subtree. Paths are relative to the subsystem's own directory
 * (`iscsi/iqn…/tpgt_1/enable`).
 */
export class Tree {
    private readonly names = new Map<string, Set<string>>();
    private readonly values = new Map<string, string[]>();
    private readonly links = new Map<string, string>();
    private readonly hashes = new Map<string, string>();

    addDirectory(path: string): void {
        this.enter(path);
    }

    addLink(path: string, to: string): void {
        this.enter(path);
        this.links.set(path, to);
    }

    addLine(path: string, line: string): void {
        const known = this.values.get(path);
        if (known === undefined) this.values.set(path, [line]);
        else known.push(line);
    }

    addHash(path: string, hash: string): void {
        this.hashes.set(path, hash);
    }

    /** A directory or link is there. */
    has(path: string): boolean {
        const slash = path.lastIndexOf("/");
        return this.names.get(path.slice(0, Math.max(0, slash)))?.has(path.slice(slash + 1)) ?? false;
    }

    /** Names of directories and links in a directory. */
    children(path: string): string[] {
        return [...(this.names.get(path) ?? [])];
    }

    /** An attribute's first line; empty: it has none; `undefined`: it is not there or was not read. */
    value(path: string): string | undefined {
        return this.values.get(path)?.[0];
    }

    lines(path: string): readonly string[] {
        return this.values.get(path) ?? [];
    }

    /** Where a link leads to, as a path like all others here. */
    link(path: string): string | undefined {
        return this.links.get(path);
    }

    linksIn(path: string): { name: string; to: string }[] {
        return this.children(path).flatMap((name) => {
            const to = this.links.get(`${path}/${name}`);
            return to === undefined ? [] : [{ name, to }];
        });
    }

    /** SHA-256 of a secret attribute, its end of line included. */
    hash(path: string): string | undefined {
        return this.hashes.get(path);
    }

    /** With the directories that it is in. */
    private enter(path: string): void {
        if (path === "" || this.has(path)) return;
        const slash = path.lastIndexOf("/");
        const parent = path.slice(0, Math.max(0, slash));
        const known = this.names.get(parent);
        if (known === undefined) this.names.set(parent, new Set([path.slice(slash + 1)]));
        else known.add(path.slice(slash + 1));
        this.enter(parent);
    }
}
