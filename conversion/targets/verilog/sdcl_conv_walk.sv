// Convolution's synapses: each input event names, one a cycle, the neurons it reaches and the place
// of their weights. 2 + (taps inside) x OUTPUTS cycles an event, 2 where no tap is inside.
//
// Which outputs an input reaches along an axis stands in a table, so that nothing is divided here:
// entry = {number of outputs, first output, its kernel tap}; from one output to the next the output
// rises by *_OUT_STEP and the tap falls by *_TAP_STEP.
module sdcl_conv_walk #(
    parameter C_BITS = 1, Y_BITS = 1, X_BITS = 1, COUNT_BITS = 1,
    parameter KERNEL_ROWS = 1, KERNEL_COLUMNS = 1,
    parameter OUT_ROWS = 1, OUT_COLUMNS = 1,
    parameter OUTPUTS = 1,        // output channels of a group
    parameter Y_OUT_STEP = 1, Y_TAP_STEP = 1, X_OUT_STEP = 1, X_TAP_STEP = 1,
    parameter FIELD_BITS = 1,     // of each field of a table's entry
    parameter BASE_BITS = 1,
    parameter N_BITS = 1, A_BITS = 1
) (
    input  logic                    clock,
    input  logic                    reset,
    input  logic                    in_valid,
    output logic                    in_ready,
    input  logic                    in_last,
    input  logic [C_BITS-1:0]       in_c,
    input  logic [Y_BITS-1:0]       in_y,
    input  logic [X_BITS-1:0]       in_x,
    input  logic [COUNT_BITS-1:0]   in_count,
    output logic                    lookup,        // read the tables at in_y, in_x, in_c
    input  logic [3*FIELD_BITS-1:0] row_entry,     // one cycle later
    input  logic [3*FIELD_BITS-1:0] column_entry,
    input  logic [BASE_BITS-1:0]    base_channel,  // first output channel of the input's group
    input  logic                    accepting,
    output logic                    step_end,
    output logic                    pair_valid,
    output logic [A_BITS-1:0]       pair_address,
    output logic [N_BITS-1:0]       pair_neuron,
    output logic [COUNT_BITS-1:0]   pair_count
);
    localparam [1:0] IDLE = 2'd0, LOOKUP = 2'd1, WALK = 2'd2;

    logic [1:0] state;
    logic [31:0] channel, output_channel;
    logic [31:0] row, row_tap, rows_left, column, column_tap, columns_left;
    logic [31:0] address, neuron;
    logic [31:0] rows, columns;

    assign in_ready = accepting && state == IDLE;
    assign step_end = in_valid && in_ready && in_last;
    assign lookup = in_valid && in_ready && !in_last;
    assign rows = {{(32 - FIELD_BITS) {1'b0}}, row_entry[3*FIELD_BITS-1:2*FIELD_BITS]};
    assign columns = {{(32 - FIELD_BITS) {1'b0}}, column_entry[3*FIELD_BITS-1:2*FIELD_BITS]};

    assign pair_valid = state == WALK;
    assign address = ((channel * KERNEL_ROWS + row_tap) * KERNEL_COLUMNS + column_tap) * OUTPUTS
                   + output_channel;
    assign neuron = (({{(32 - BASE_BITS) {1'b0}}, base_channel} + output_channel) * OUT_ROWS + row)
                  * OUT_COLUMNS + column;
    assign pair_address = address[A_BITS-1:0];
    assign pair_neuron = neuron[N_BITS-1:0];

    always_ff @(posedge clock) begin
        if (reset) begin
            state <= IDLE;
        end else if (state == IDLE) begin
            if (lookup) begin
                state <= LOOKUP;
                channel <= {{(32 - C_BITS) {1'b0}}, in_c};
                pair_count <= in_count;
            end
        end else if (state == LOOKUP) begin
            state <= (rows == 0 || columns == 0) ? IDLE : WALK;
            rows_left <= rows;
            row <= {{(32 - FIELD_BITS) {1'b0}}, row_entry[2*FIELD_BITS-1:FIELD_BITS]};
            row_tap <= {{(32 - FIELD_BITS) {1'b0}}, row_entry[FIELD_BITS-1:0]};
            columns_left <= columns;
            column <= {{(32 - FIELD_BITS) {1'b0}}, column_entry[2*FIELD_BITS-1:FIELD_BITS]};
            column_tap <= {{(32 - FIELD_BITS) {1'b0}}, column_entry[FIELD_BITS-1:0]};
            output_channel <= 32'd0;
        end else if (output_channel != OUTPUTS - 1) begin
            output_channel <= output_channel + 32'd1;
        end else begin
            output_channel <= 32'd0;
            if (columns_left != 32'd1) begin
                columns_left <= columns_left - 32'd1;
                column <= column + X_OUT_STEP;
                column_tap <= column_tap - X_TAP_STEP;
            end else begin
                columns_left <= columns;
                column <= {{(32 - FIELD_BITS) {1'b0}}, column_entry[2*FIELD_BITS-1:FIELD_BITS]};
                column_tap <= {{(32 - FIELD_BITS) {1'b0}}, column_entry[FIELD_BITS-1:0]};
                rows_left <= rows_left - 32'd1;
                row <= row + Y_OUT_STEP;
                row_tap <= row_tap - Y_TAP_STEP;
                if (rows_left == 32'd1) begin
                    state <= IDLE;
                end
            end
        end
    end
endmodule
