/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-member-access */
import type * as pulumi from "@pulumi/pulumi";

/**
 * What Pulumi serialises into the state of every resource: methods that do nothing but call the package by name, so
 * that state stays small (2,048 bytes at most), the same on every machine and for every kind, and free of secrets. It
 * must capture nothing; the kind of resource is a property (`kind`) beside it.
 */
export const shim: pulumi.dynamic.ResourceProvider = {
    configure: (req: any) => require("pulumi-blockhost/dynamic").configure(req),
    check: (o: any, n: any) => require("pulumi-blockhost/dynamic").check(o, n),
    diff: (_: any, o: any, n: any) => require("pulumi-blockhost/dynamic").diff(o, n),
    create: (n: any) => require("pulumi-blockhost/dynamic").create(n),
    read: (id: any, o: any) => require("pulumi-blockhost/dynamic").read(id, o),
    update: (_: any, o: any, n: any) => require("pulumi-blockhost/dynamic").update(o, n),
    delete: (_: any, o: any) => require("pulumi-blockhost/dynamic").remove(o),
};
