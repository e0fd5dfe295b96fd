import { posix } from "node:path";

/**
 * Makes one module of many that import each other by relative paths: sixty small files compress to nearly twice the size of one, and a
 * browser would fetch them import by import. Each becomes a function that runs once, in the order of the imports; what is imported from a
 * package stays an import. It knows the forms that the dashboard is written in and throws for any other, so nothing is linked wrongly.
 */
export function linkModules(sources: ReadonlyMap<string, string>, entry: string): string {
  const order = new Map<string, string>();
  const outside = new Set<string>();
  const visit = (file: string): string => {
    const known = order.get(file);
    if (known !== undefined) return known;
    const source = sources.get(file);
    if (source === undefined) throw new Error(`The dashboard has no module ${file}.`);
    const body = linkedBody(source, file, visit, outside);
    const name = `$${order.size}`;
    order.set(file, name);
    bodies.push(`const ${name} = (() => {\n${body}})();\n`);
    return name;
  };
  const bodies: string[] = [];
  visit(entry);
  return [...outside, ...bodies].join("\n");
}

const IMPORT = /^import (?:\{([^}]*)\} from )?"(\.[^"]+)";$/gm;
const OUTSIDE = /^import [^;]* from "[^.][^"]*";$/gm;
const EXPORT = /^export (?=(?:async )?(?:function\*?|const|class) (\w+))/gm;
const EXPORT_LIST = /^export \{([^}]*)\};$/gm;

function linkedBody(source: string, file: string, visit: (file: string) => string, outside: Set<string>): string {
  const exported: string[] = [];
  const body = withoutComments(source)
    .replace(IMPORT, (_, names: string | undefined, target: string) => {
      const from = visit(posix.join(posix.dirname(file), target));
      return names === undefined ? "" : `const {${names.replaceAll(" as ", ": ")}} = ${from};`;
    })
    .replace(OUTSIDE, (line) => {
      outside.add(line);
      return "";
    })
    .replace(EXPORT, (_, name: string) => {
      exported.push(name);
      return "";
    })
    .replace(EXPORT_LIST, (_, names: string) => {
      exported.push(...names.split(",").flatMap((name) => name.trim() || []));
      return "";
    });
  const left = /^(?:import|export)\b.*/m.exec(body);
  if (left) throw new Error(`${file} says "${left[0]}", a form that the dashboard's modules do not use.`);
  return `${body.trim()}\nreturn { ${exported.join(", ")} };\n`;
}

/** Comments on lines of their own, casts, and indentation: a third of the text. */
const withoutComments = (text: string): string =>
  text
    .replace(/^[ \t]*\/\*\*(?:(?!\*\/)[^])*\*\/\n/gm, "")
    .replace(/^[ \t]*\/\/.*\n/gm, "")
    .replace(/\/\*\* @type (?:(?!\*\/)[^])*\*\/ ?/g, "")
    .replace(/\n\s+/g, "\n");
