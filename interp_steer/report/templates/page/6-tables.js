// Tables as CSV, with every digit. A text that a spreadsheet would take for a formula gets an apostrophe in front.
const quoted = (value) => {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const plain = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain;
};
function save(name, columns, rows) {
  const text = [columns, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n");
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" }));
  link.download = `${document.title.split(" · ").slice(0, 2).join(" ")} ${name}.csv`.replace(/[^\w.+ -]/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
function downloads(tables) {
  for (const button of document.querySelectorAll("[data-csv]")) {
    const { columns, rows } = tables[button.dataset.csv];
    button.addEventListener("click", () => save(button.dataset.csv, columns, rows));
  }
}
