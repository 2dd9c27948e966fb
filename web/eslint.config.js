import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(...tseslint.configs.strictTypeChecked, hooks.configs.flat.recommended, {
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  rules: {
    // Numbers in the statistics table are written as they are.
    "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
  },
});
