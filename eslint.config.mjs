// @ts-check
import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
    { ignores: ["dist/", "node_modules/", "sdk/python/", "sdk/go/", "sdk/plugin/"] },
    js.configs.recommended,
    {
        files: ["**/*.ts"],
        extends: [...tseslint.configs.recommendedTypeChecked, ...tseslint.configs.strict],
        languageOptions: {
            parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
        },
        rules: {
            eqeqeq: "error",
            "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
            "@typescript-eslint/no-unused-vars": [
                "error",
                { argsIgnorePattern: "^_", varsIgnorePattern: "^_" },
            ],
            "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
            "@typescript-eslint/switch-exhaustiveness-check": "error",
            // Drivers and faces implement asynchronous contracts without always waiting for something.
            "@typescript-eslint/require-await": "off",
        },
    },
    {
        // The type checker knows Node's globals, and `// @ts-check` is on in every one of these files.
        files: ["**/*.mjs"],
        rules: {
            eqeqeq: "error",
            "no-undef": "off",
            "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
        },
    },
    {
        // Pulumi's plugin host loads it as it is, as CommonJS.
        files: ["plugin/*.js"],
        languageOptions: { sourceType: "commonjs", globals: { console: false, process: false } },
    },
);
