// /docs: the OpenAPI document, readable, without anybody else's script.

const made = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

// OpenAPI's descriptions are Markdown; of that, ours have `names`.
const prose = (tag, text = "") =>
  made(tag, "", ...text.split("`").map((part, place) => (place % 2 ? made("code", part) : part)));

const resolved = (document_, schema) =>
  schema?.$ref ? schema.$ref.slice(2).split("/").reduce((value, key) => value[key], document_) : schema;

function typeOf(document_, schema) {
  const found = resolved(document_, schema) ?? {};
  if (found.enum) return found.enum.join(" | ");
  if (found.anyOf) return found.anyOf.filter((one) => one.type !== "null").map((one) => typeOf(document_, one)).join(" | ");
  if (found.type === "array") return `list of ${typeOf(document_, found.items)}`;
  return found.contentMediaType || found.format === "binary" ? "file" : (found.type ?? "");
}

function fieldsOf(document_, operation) {
  const rows = (operation.parameters ?? []).map((one) => [one.name, one.schema, one.required, one.description]);
  for (const { schema } of Object.values(operation.requestBody?.content ?? {})) {
    const body = resolved(document_, schema);
    for (const [name, field] of Object.entries(body.properties ?? {})) {
      rows.push([name, field, body.required?.includes(name), field.description]);
    }
  }
  return rows;
}

function section(document_, path, method, operation) {
  const title = made("h2", "", Object.assign(made("span", method.toUpperCase()), { className: "method" }), ` ${path}`);
  const parts = [title, made("p", operation.summary), prose("p", operation.description)];
  const rows = fieldsOf(document_, operation);
  if (rows.length) {
    const head = made("tr", "", ...["Field", "Type", "Meaning"].map((name) => made("th", name)));
    const body = rows.map(([name, schema, required, description]) =>
      made("tr", "", made("td", name), made("td", typeOf(document_, schema)), prose("td", `${required ? "Required. " : ""}${description ?? ""}`)),
    );
    const table = made("table", "", head, ...body);
    table.tabIndex = 0;
    parts.push(table);
  }
  const card = made("section", "", ...parts);
  card.className = "card";
  return card;
}

document.getElementById("example").textContent = `curl -F file=@clip.mp3 ${location.origin}/v1/audio/transcriptions`;
const document_ = await (await fetch("/openapi.json")).json();
const routes = Object.entries(document_.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => section(document_, path, method, operation)),
);
document.getElementById("routes").append(...routes);
