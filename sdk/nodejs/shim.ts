/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-member-access */
import type * as pulumi from "@pulumi/pulumi";

/**
 * What Pulumi serialises into the state of every resource: methods that do nothing but call the package by name, so
 * that state stays small, the same on every machine, and free of secrets. Nothing may be captured but `kind`.
 */
export function shim(kind: string): pulumi.dynamic.ResourceProvider {
    return {
        configure: async (r: any) => require("pulumi-blockhost/dynamic").configure(r.config),
        check: async (o: any, n: any) => require("pulumi-blockhost/dynamic").check(kind, o, n),
        diff: async (i: any, o: any, n: any) => require("pulumi-blockhost/dynamic").diff(kind, i, o, n),
        create: async (n: any) => require("pulumi-blockhost/dynamic").create(kind, n),
        read: async (i: any, o: any) => require("pulumi-blockhost/dynamic").read(kind, i, o),
        update: async (i: any, o: any, n: any) => require("pulumi-blockhost/dynamic").update(kind, i, o, n),
        delete: async (i: any, o: any) => require("pulumi-blockhost/dynamic").remove(kind, i, o),
    };
}
