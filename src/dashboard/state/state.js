/** State: services, their namespaces, objects, keys and values, through the routes that everybody uses. */
import { call } from "../api.js";
import { html, useState } from "../lib.js";
import { useLoad } from "../load.js";
import { Button } from "../parts/button.js";
import { Field, Form } from "../parts/field.js";
import { Card, Empty, Head } from "../parts/layout.js";
import { goTo, placeOf } from "../route.js";
import { useShared } from "../store.js";
import { CostLine } from "./cost.js";
import { Namespaces } from "./namespaces.js";
import { ObjectView } from "./object.js";
import { Objects } from "./objects.js";

/** @param {{ parts: string[] }} props */
export function StateView({ parts }) {
  const [service, namespace, object] = parts;
  const crumbs = ["Services", ...parts];
  return html`<${Head} title=${parts.at(-1) ?? "State"} about=${html`<${Crumbs} names=${crumbs} parts=${parts} />`} />
    <${CostLine} />
    ${
      service === undefined
        ? html`<${Services} />`
        : namespace === undefined
          ? html`<${Namespaces} key=${service} service=${service} />`
          : object === undefined
            ? html`<${Objects} key=${`${service} ${namespace}`} service=${service} namespace=${namespace} />`
            : html`<${ObjectView} key=${parts.join(" ")} service=${service} namespace=${namespace} object=${object} />`
    }`;
}

/** @param {{ names: string[], parts: string[] }} props */
const Crumbs = ({ names, parts }) =>
  html`<nav class="crumbs" aria-label="Place">
    ${names.map((name, i) => html`<a key=${i} href=${placeOf("state", ...parts.slice(0, i))} aria-current=${i === parts.length ? "location" : undefined}>${name}</a>`)}
  </nav>`;

function Services() {
  const account = useShared("account");
  const [name, setName] = useState("");
  const read = useLoad(account, (signal) => call("GET", "/v1/usage/objects", { query: { limit: 1000 }, signal }));
  const objects = /** @type {{ objects: { service: string }[] } | null} */ (read.data)?.objects ?? [];
  const services = [...new Set(objects.map((o) => o.service))].sort();
  const open = () => {
    if (name !== "") goTo("state", name);
  };
  return html`<${Card} title="Services" about="A service needs no creation: open one by its name.">
    ${
      services.length > 0 &&
      html`<ul class="chips">
        ${services.map((s) => html`<li key=${s}><a class="chip" href=${placeOf("state", s)}>${s}</a></li>`)}
      </ul>`
    }
    ${
      !read.loading &&
      services.length === 0 &&
      html`<${Empty} title="Nothing is stored yet"
        ><p>Store something: <code>weir state put Room room-1 topic hello --service chat</code></p></${Empty}
      >`
    }
    <${Form} row=${true} onSubmit=${open}>
      <div class="grow"><${Field} label="Service" value=${name} onInput=${setName} placeholder="chat" spellcheck=${false} /></div>
      <${Button} kind="primary" type="submit" disabled=${name === ""}>Open</${Button}>
    </${Form}>
  </${Card}>`;
}
